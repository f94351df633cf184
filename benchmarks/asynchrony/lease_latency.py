"""How long a worker waits for a lease from a warm pool, with fifty of them asking.

Each load is closed: a worker asks anew only once it has reported.
`steady`: fifty workers with 20 s trials: 4 s to measure, 16 s to train, each half as much or
    half as long again; they ask independently of each other.
`brisk`: the same ten times as fast.
`burst`: all of them ask at the same moment, again and again: the worst that a fleet can do.
`saturated`: nobody works at all; says what the server can give at most.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.asynchrony.disk import syncs_of
from benchmarks.asynchrony.fleet import (
    SimulatedWorker,
    create_experiment,
    fleet,
    pool_filled,
)
from benchmarks.asynchrony.served import DatabaseKind, Served, served

Load = Literal["steady", "brisk", "burst", "saturated"]
LOADS: tuple[Load, ...] = ("steady", "brisk", "burst", "saturated")

_POOL = 100
_STAGE_S = {"measure": 4.0, "train": 16.0}
_PACE = {"steady": 1.0, "brisk": 0.1, "burst": 0.0, "saturated": 0.0}
_FILL_LIMIT_S = 120.0


@dataclass(frozen=True)
class LatencyRun:
    """One run: latencies of leases that began a new trial, in milliseconds, as clients saw them.

    server_ms: CPU time of the server process per request, claims and reports alike.
    sync_p50_ms, sync_p99_ms, sync_worst_ms: of the disk alone, meanwhile (see `disk`).
    """

    database: str
    load: str
    workers: int
    leases: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    leases_per_s: float
    server_ms: float
    sync_p50_ms: float
    sync_p99_ms: float
    sync_worst_ms: float


def run(
    kind: DatabaseKind, load: Load, workers: int, duration_s: float, folder: Path | None = None
) -> LatencyRun:
    """One run against a server of its own, in a folder that is removed afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="archfront-", dir=folder) as name,
        served(kind, Path(name)) as server,
    ):
        return asyncio.run(_measure(server, kind, load, workers, duration_s, Path(name)))


async def _measure(  # noqa: PLR0917  (what `run` was asked for, in its order)
    server: Served, kind: DatabaseKind, load: Load, count: int, duration_s: float, folder: Path
) -> LatencyRun:
    optimizer = {"strategy": "sobol", "pool_size": _POOL}
    experiment = await create_experiment(
        server, budget=100_000, max_parallel=10_000, optimizer=optimizer
    )
    workers = await fleet(server, experiment, count)
    await pool_filled(server, experiment["id"], _POOL, _FILL_LIMIT_S)
    rng = random.Random(0)
    await asyncio.gather(*(_one_lease(worker, 0.0) for worker in workers))  # connections, caches
    for worker in workers:
        worker.claims.clear()
        worker.report_s.clear()
    cpu_before, started = server.cpu_s(), time.perf_counter()
    with syncs_of(folder) as sync_ms:
        if load == "burst":
            await _bursts(workers, started + duration_s, rng)
        else:
            end, pace = started + duration_s, _PACE[load]
            await asyncio.gather(*(_work(worker, end, pace, rng) for worker in workers))
        wall_s, cpu_s = time.perf_counter() - started, server.cpu_s() - cpu_before
    for worker in workers:
        await worker.connection.close()
    return _summary(kind, load, workers, wall_s, cpu_s, sorted(sync_ms))


async def _work(worker: SimulatedWorker, end: float, pace: float, rng: random.Random) -> None:
    await asyncio.sleep(pace * rng.uniform(0, sum(_STAGE_S.values())))
    while time.perf_counter() < end:
        await _one_lease(worker, pace * rng.uniform(0.5, 1.5))


async def _one_lease(worker: SimulatedWorker, pace: float) -> None:
    grant = await worker.claim()
    if grant is not None:
        await asyncio.sleep(pace * _STAGE_S[grant["stage"]])
        await worker.complete(grant)


async def _bursts(workers: Sequence[SimulatedWorker], end: float, rng: random.Random) -> None:
    while time.perf_counter() < end:
        grants = await asyncio.gather(*(worker.claim() for worker in workers))
        for worker, grant in zip(workers, grants, strict=True):
            if grant is not None:
                await worker.complete(grant)
        await asyncio.sleep(rng.uniform(0.5, 1.5))  # the pool fills up again


def _summary(  # noqa: PLR0917  (what was measured, in its order)
    kind: str,
    load: str,
    workers: Sequence[SimulatedWorker],
    wall_s: float,
    cpu_s: float,
    sync_ms: Sequence[float],
) -> LatencyRun:
    claims = [claim for worker in workers for claim in worker.claims]
    fresh = sorted(1000 * claim.waited_s for claim in claims if claim.is_new)
    requests = len(claims) + sum(len(worker.report_s) + worker.empty_claims for worker in workers)
    return LatencyRun(
        database=kind,
        load=load,
        workers=len(workers),
        leases=len(fresh),
        p50_ms=percentile(fresh, 0.5),
        p99_ms=percentile(fresh, 0.99),
        worst_ms=fresh[-1],
        leases_per_s=len(claims) / wall_s,
        server_ms=1000 * cpu_s / requests,
        sync_p50_ms=percentile(sync_ms, 0.5),
        sync_p99_ms=percentile(sync_ms, 0.99),
        sync_worst_ms=sync_ms[-1],
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the ordered ones does not exceed."""
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
