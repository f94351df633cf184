"""Which share of their time eight workers with 20 s trials wait for work, under the real model.

A worker waits from the answer to its report until it holds the next lease, and at the very
beginning. Reports are work of its own, and told apart. The trials are simulated: a worker
sleeps 2 s to measure an arm and 18 s to train it, each half as long or half as long again: were
all equally long, all workers would report at the same moment, and nothing would come in while
candidates wait. Server, suggester and model are real, and have to share the machine with nothing
but the simulation.
"""

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.asynchrony.fleet import SimulatedWorker, create_experiment, fleet
from benchmarks.asynchrony.http_client import Connection
from benchmarks.asynchrony.served import DatabaseKind, Served, served

_STAGE_S = {"measure": 2.0, "train": 18.0}
_HEARTBEAT_S = 15.0
_INITIAL_TRIALS = 12


@dataclass(frozen=True)
class IdleRun:
    """One run. Shares are of the workers' time; `sources` counts who proposed the trials.

    renewals: how often the model ranked anew what stood in the pool, or put others there.
    """

    database: str
    strategy: str
    workers: int
    minutes: float
    trials: int
    idle_percent: float
    report_percent: float
    longest_wait_s: float
    sources: dict[str, int]
    renewals: int


def run(
    kind: DatabaseKind,
    workers: int,
    duration_s: float,
    *,
    strategy: str = "auto",
    pace: float = 1.0,
    folder: Path | None = None,
) -> IdleRun:
    """One run against a server of its own, in a folder that is removed afterwards.

    pace: by which the simulated stages are longer; below 1 for a quick look only.
    """
    with (
        tempfile.TemporaryDirectory(prefix="archfront-", dir=folder) as name,
        served(kind, Path(name)) as server,
    ):
        return asyncio.run(_measure(server, kind, workers, duration_s, strategy, pace))


async def _measure(  # noqa: PLR0917
    server: Served, kind: DatabaseKind, count: int, duration_s: float, strategy: str, pace: float
) -> IdleRun:
    optimizer = {"strategy": strategy, "initial_trials": _INITIAL_TRIALS}
    experiment = await create_experiment(
        server, budget=10_000, max_parallel=count, optimizer=optimizer
    )
    workers = await fleet(server, experiment, count)
    started = time.perf_counter()
    shares = await work_all(workers, duration_s, pace)
    minutes = (time.perf_counter() - started) / 60
    path = f"/v1/experiments/{experiment['id']}"
    trials = await _trials(workers[0].connection, path)
    renewals = await _events(workers[0].connection, experiment["id"], "pool_ranked")
    for worker in workers:
        await worker.connection.close()
    total_s = sum(share.total_s for share in shares)
    return IdleRun(
        database=kind,
        strategy=strategy,
        workers=count,
        minutes=minutes,
        trials=sum(trial["status"] == "completed" for trial in trials),
        idle_percent=100 * sum(share.idle_s for share in shares) / total_s,
        report_percent=100 * sum(sum(worker.report_s) for worker in workers) / total_s,
        longest_wait_s=max(share.longest_s for share in shares),
        sources=dict(Counter(trial["source"] for trial in trials)),
        renewals=renewals,
    )


@dataclass
class Share:
    """What became of one worker's time; `longest_s` is its longest wait."""

    total_s: float = 0.0
    idle_s: float = 0.0
    longest_s: float = 0.0


async def work_all(
    workers: Sequence[SimulatedWorker], duration_s: float, pace: float
) -> list[Share]:
    """Lets all of them work, independently of each other; `pace` as in `run`."""
    end = time.perf_counter() + duration_s
    works = (_work(worker, end, pace, random.Random(seed)) for seed, worker in enumerate(workers))
    return list(await asyncio.gather(*works))


async def _work(worker: SimulatedWorker, end: float, pace: float, rng: random.Random) -> Share:
    share = Share()
    started = free_since = time.perf_counter()
    while time.perf_counter() < end:
        grant = await worker.claim(min(5.0, max(0.0, end - time.perf_counter())))
        if grant is None:
            continue
        waited_s = time.perf_counter() - free_since
        share.idle_s += waited_s
        share.longest_s = max(share.longest_s, waited_s)
        await _work_off(worker, grant, pace * rng.uniform(0.5, 1.5) * _STAGE_S[grant["stage"]])
        free_since = time.perf_counter()
    share.idle_s += max(0.0, end - free_since)  # it was still waiting then
    share.total_s = time.perf_counter() - started
    return share


async def _work_off(worker: SimulatedWorker, grant: dict[str, Any], works_s: float) -> None:
    while works_s > _HEARTBEAT_S:
        await asyncio.sleep(_HEARTBEAT_S)
        works_s -= _HEARTBEAT_S
        await worker.heartbeat(grant)
    await asyncio.sleep(works_s)
    await worker.complete(grant)


async def _trials(connection: Connection, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await connection.get(f"{path}/trials?limit=500{cursor}")
        if page is None:
            raise RuntimeError("the list of trials was not answered")
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def _events(connection: Connection, experiment_id: str, kind: str) -> int:
    last, count = 0, 0
    while True:
        page = await connection.get(f"/v1/events?experiment={experiment_id}&after={last}&limit=500")
        events = [] if page is None else page["items"]
        if not events:
            return count
        count += sum(event["kind"] == kind for event in events)
        last = events[-1]["id"]
