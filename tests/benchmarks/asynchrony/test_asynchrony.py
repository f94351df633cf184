"""A slice of the benchmark against a real server: it runs, and nobody waits for long."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.asynchrony import heartbeats, idle_share, lease_latency
from benchmarks.asynchrony.fleet import SimulatedWorker
from benchmarks.asynchrony.lease_latency import percentile
from benchmarks.asynchrony.records import keep, text_of, write_table

pytestmark = pytest.mark.alone

FAR_FROM_IDLE_PERCENT = 30.0
"""The bar is 1 % with 20 s trials on a quiet machine; these last 2 s, on whatever machine."""


@pytest.mark.slow
def test_leases_come_from_a_warm_pool_and_are_counted(tmp_path: Path) -> None:
    run = lease_latency.run("sqlite", "brisk", 4, 4.0, tmp_path)
    assert run.leases >= 4
    assert 0 < run.p50_ms <= run.p99_ms <= run.worst_ms < 5_000
    assert run.server_ms > 0
    assert 0 < run.sync_p50_ms <= run.sync_p99_ms <= run.sync_worst_ms
    results, table = tmp_path / "results.jsonl", tmp_path / "table.md"
    keep(run, results)
    keep(run, results)
    write_table(results, table)
    assert f"| sqlite | brisk | 4 | 2 | {2 * run.leases} |" in table.read_text()


@pytest.mark.slow
def test_workers_are_hardly_idle_and_every_trial_is_accounted_for(tmp_path: Path) -> None:
    run = idle_share.run("sqlite", 2, 12.0, strategy="sobol", pace=0.1, folder=tmp_path)
    assert run.trials >= 4
    assert sum(run.sources.values()) >= run.trials
    assert set(run.sources) == {"sobol"}
    assert run.idle_percent < FAR_FROM_IDLE_PERCENT
    results = tmp_path / "results.jsonl"
    keep(run, results)
    rows = text_of([json.loads(line) for line in results.read_text().splitlines()])
    assert f"| sqlite | sobol | 2 | 1 | {run.minutes:.3g} | {run.trials} |" in rows


@pytest.mark.slow
def test_no_lease_is_lost_while_the_server_is_killed_and_started_again(tmp_path: Path) -> None:
    load = heartbeats.Load(
        workers=50, seconds=8.0, trial_s=8.0, kills=1, pace=0.15
    )  # leases of 9 s, beats every 2.25 s
    run = heartbeats.run(load, tmp_path)
    assert (run.lost, run.expired, run.broken) == (0, 0, 0)
    assert run.away > 0  # the server was gone
    assert run.heartbeats > 50
    assert run.leases > 10
    assert run.held > 25
    assert 0 < run.p50_ms <= run.p99_ms <= run.worst_ms < 10_000
    assert min(run.server_percent, run.database_percent, run.client_percent) > 0
    results = tmp_path / "results.jsonl"
    keep(run, results)
    rows = text_of([json.loads(line) for line in results.read_text().splitlines()])
    assert f"| postgresql | 50 | 8 | 1 | 1 | {run.heartbeats} |" in rows


class TrainsOnce:
    """A worker whose server gives it one training; notes when it reports."""

    def __init__(self) -> None:
        self.reported_at: list[float] = []

    async def claim(self, wait_s: float) -> dict[str, Any] | None:
        if not self.reported_at:
            return {"stage": "train"}
        await asyncio.sleep(wait_s)
        return None

    async def complete(self, grant: object) -> None:
        self.reported_at.append(time.perf_counter())


def test_results_come_in_one_after_another_while_candidates_wait() -> None:
    workers = [TrainsOnce() for _ in range(8)]
    asyncio.run(idle_share.work_all(cast(list[SimulatedWorker], workers), 0.6, pace=0.02))
    reported_at = sorted(at for worker in workers for at in worker.reported_at)
    assert len(reported_at) == 8
    assert reported_at[-1] - reported_at[0] > 0.1  # trainings of 0.36 s


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100), (0.0, 1)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert percentile(list(range(1, 101)), share) == expected
