"""How soon a thousand workers' heartbeats are answered by one API process, and what gets lost.

Each worker has one slot and a device of its own, and works off a stage at a time: it claims,
beats as often as the server dictates by default (15 s), with a point of its learning curve while
it trains, and reports. A trial measures for a tenth of its time and trains for the rest, each stage
half as long or half as long again. The workers start one after another, within two fifths of a
trial's time and at least half a minute; what counts comes after that.

A latency runs from sending the request to having read the answer. Server, database, suggester
and the simulation share the machine, and the simulation, one thread, is at times late itself: by
as much as `client lag` says, which is contained in the latencies.
A lease is lost if the server no longer knows it, or has let it expire, although its worker beats
for it.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from benchmarks.asynchrony.beating_worker import BeatingWorker
from benchmarks.asynchrony.disk import syncs_of
from benchmarks.asynchrony.fleet import create_experiment, fleet, pool_filled
from benchmarks.asynchrony.lease_latency import percentile
from benchmarks.asynchrony.served import DatabaseKind, Served, served
from service.domain.trial import AttemptOutcome
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.storage.tables import attempts

_SHARES = {"measure": 0.1, "train": 0.9}
_LARGEST_POOL = 1_000
_FILL_LIMIT_S = 300.0
_RAMP_SHARE = 0.4
_SHORTEST_RAMP_S = 30.0
_TICK_S = 0.01
_LAST_ANSWERS_S = 10.0


@dataclass(frozen=True)
class Load:
    """What a run is like.

    seconds: of the part that counts. kills: how often the API process is killed meanwhile, and
    started again at once. pace: by which beats, leases and the ramp are longer than by default;
    below 1 for a quick look only.
    """

    database: DatabaseKind = "postgresql"
    workers: int = 1_000
    seconds: float = 300.0
    trial_s: float = 300.0
    kills: int = 0
    pace: float = 1.0

    @property
    def settings(self) -> dict[str, str]:
        """The server's."""
        intervals = {"lease_ttl_s": 60.0, "heartbeat_s": 15.0, "stop_margin_s": 5.0, "reap_s": 5.0}
        return {name: str(self.pace * seconds) for name, seconds in intervals.items()}

    @property
    def ramp_s(self) -> float:
        """Within which the workers start."""
        return max(_RAMP_SHARE * self.trial_s, self.pace * _SHORTEST_RAMP_S)


@dataclass(frozen=True)
class HeartbeatRun:
    """One run. Latencies and lags are in milliseconds.

    claim_p99_ms: of claims, long poll included. leases: granted in the part that counts; held: at
        its end.
    away, refused: requests that nobody answered, and that were answered by an error which may
        pass; each was sent again.
    lost: leases the server no longer knew although their workers beat; expired: leases that the
        database says were not renewed in time; broken: how many invariants are broken after.
    longest_silence_s: between two answered beats for one lease.
    outage_s: the longest time from a kill until the server listened again; 0 without.
    server_percent, database_percent, client_percent: of one core; the server's without suggester.
    sync_*: of the disk alone, meanwhile (see `disk`).
    """

    database: str
    workers: int
    trial_s: float
    kills: int
    seconds: float
    heartbeats: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    lag_p99_ms: float
    lag_worst_ms: float
    claim_p99_ms: float
    leases: int
    held: int
    lost: int
    expired: int
    broken: int
    away: int
    refused: int
    longest_silence_s: float
    outage_s: float
    server_percent: float
    database_percent: float
    client_percent: float
    sync_p50_ms: float
    sync_p99_ms: float
    sync_worst_ms: float


def run(load: Load, folder: Path | None = None) -> HeartbeatRun:
    """One run against a server of its own, in a folder that is removed afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="archfront-", dir=folder) as name,
        served(load.database, Path(name), load.settings) as server,
    ):
        return asyncio.run(_measure(server, load, Path(name)))


async def _measure(server: Served, load: Load, folder: Path) -> HeartbeatRun:
    workers = await _workers(server, load)
    begin = time.perf_counter()
    steady = begin + load.ramp_s
    end = steady + load.seconds
    works = [
        asyncio.create_task(worker.work(begin + load.ramp_s * place / load.workers, end))
        for place, worker in enumerate(workers)
    ]
    await asyncio.sleep(steady - time.perf_counter())
    used_before_s = _used_s(server)
    with syncs_of(folder) as sync_ms:
        async with _lags() as lags_ms:
            outages_s = [
                await _killed(server, steady + load.seconds * (kill + 0.5) / load.kills)
                for kill in range(load.kills)
            ]
            await asyncio.sleep(end - time.perf_counter())
            pairs = zip(_used_s(server), used_before_s, strict=True)
            percents = [100 * (after - before) / load.seconds for after, before in pairs]
            leases = await asyncio.to_thread(_leases, server)
    await _end(works)
    for worker in workers:
        await worker.worker.connection.close()
    return HeartbeatRun(
        database=load.database,
        workers=load.workers,
        trial_s=load.trial_s,
        kills=load.kills,
        seconds=load.seconds,
        **_latencies(workers, steady),
        lag_p99_ms=percentile(sorted(lags_ms), 0.99),
        lag_worst_ms=max(lags_ms),
        **leases,
        broken=_broken(server),
        lost=sum(worker.lost for worker in workers),
        away=sum(worker.away for worker in workers),
        refused=sum(worker.refused for worker in workers),
        longest_silence_s=max(worker.longest_silence_s for worker in workers),
        outage_s=max(outages_s, default=0.0),
        server_percent=percents[0],
        database_percent=percents[1],
        client_percent=percents[2],
        sync_p50_ms=percentile(sorted(sync_ms), 0.5),
        sync_p99_ms=percentile(sorted(sync_ms), 0.99),
        sync_worst_ms=max(sync_ms),
    )


async def _workers(server: Served, load: Load) -> list[BeatingWorker]:
    pool = min(load.workers, _LARGEST_POOL)
    experiment = await create_experiment(
        server,
        budget=100_000,
        max_parallel=10_000,
        optimizer={"strategy": "sobol", "pool_size": pool},
    )
    simulated = await fleet(server, experiment, load.workers)
    await pool_filled(server, experiment["id"], pool, _FILL_LIMIT_S)
    stage_s = {stage: share * load.trial_s for stage, share in _SHARES.items()}
    return [
        BeatingWorker(worker, stage_s, random.Random(seed)) for seed, worker in enumerate(simulated)
    ]


async def _end(works: Sequence[asyncio.Task[None]]) -> None:
    """Lets the last answers come in; what still waits then is given up."""
    _, waiting = await asyncio.wait(works, timeout=_LAST_ANSWERS_S)
    for work in waiting:
        work.cancel()
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def _latencies(workers: Sequence[BeatingWorker], steady: float) -> dict[str, Any]:
    beats = sorted(
        1000 * beat.took_s for worker in workers for beat in worker.beats if beat.sent_at >= steady
    )
    claims = sorted(
        1000 * claim.waited_s
        for worker in workers
        for claim in worker.worker.claims
        if claim.asked_at >= steady
    )
    return {
        "heartbeats": len(beats),
        "p50_ms": percentile(beats, 0.5),
        "p99_ms": percentile(beats, 0.99),
        "worst_ms": beats[-1],
        "claim_p99_ms": percentile(claims, 0.99) if claims else 0.0,
        "leases": len(claims),
    }


def _used_s(server: Served) -> list[float]:
    """CPU seconds so far of server, database and this process."""
    return [server.cpu_s(), server.database_cpu_s(), time.process_time()]


async def _killed(server: Served, at: float) -> float:
    """Kills the API process then and starts it anew; gives how long nobody answered, in s."""
    await asyncio.sleep(at - time.perf_counter())
    server.kill()
    killed_at = time.perf_counter()
    await asyncio.to_thread(server.start)
    return time.perf_counter() - killed_at


@asynccontextmanager
async def _lags() -> AsyncIterator[list[float]]:
    """Inside, it is noted every 10 ms how late this event loop is; gives the times, in ms."""
    lags_ms: list[float] = []

    async def look() -> None:
        while True:
            due = time.perf_counter() + _TICK_S
            await asyncio.sleep(_TICK_S)
            lags_ms.append(1000 * (time.perf_counter() - due))

    looking = asyncio.create_task(look())
    try:
        yield lags_ms
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


def _leases(server: Served) -> dict[str, int]:
    """What the database says of the leases."""
    query = select(func.count()).select_from(attempts)
    with _looking(server) as connection:
        held = connection.scalar(query.where(attempts.c.ended_at.is_(None)))
        expired = connection.scalar(query.where(attempts.c.outcome == AttemptOutcome.LOST))
    return {"held": held or 0, "expired": expired or 0}


def _broken(server: Served) -> int:
    """How many invariants are broken."""
    with _looking(server) as connection:
        return len(check_invariants(connection))


@contextmanager
def _looking(server: Served) -> Iterator[Connection]:
    database = Database(server.database_url)
    try:
        with database.read() as connection:
            yield connection
    finally:
        database.dispose()
