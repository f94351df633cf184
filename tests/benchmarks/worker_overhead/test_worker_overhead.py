"""A slice of the benchmark against a real server and worker, and its reckoning."""

import json
from pathlib import Path

import pytest

from benchmarks.worker_overhead import overhead
from benchmarks.worker_overhead.records import keep, text_of

FAR_TOO_LONG_S = 60.0
"""The bar is 1.5 s on a quiet machine with its caches filled; this is any machine, without."""

MOMENTS = {
    "process_started": 100.1,
    "torch_begins": 100.5,
    "torch_ends": 102.5,
    "recipe_begins": 102.75,
    "recipe_ends": 103.0,
    "train_begins": 103.25,
    "compiler_begins": 103.5,
    "compiler_ends": 105.5,
    "first_step": 105.75,
    "last_step": 110.0,
    "train_ends": 110.5,
    "export_begins": 110.75,
    "export_ends": 112.75,
    "result_written": 113.0,
}


def test_every_moment_between_lease_and_record_is_told_once() -> None:
    times = overhead.times_of(100.0, 114.0, MOMENTS)
    assert sum(getattr(times, part) for part in overhead.PARTS) == pytest.approx(14.0)
    assert (times.preparing, times.compiler, times.keeping) == pytest.approx((0.5, 2.0, 0.5))
    uncounted = times.training + times.export + times.torch + times.recipe + times.compiler
    assert times.overhead == pytest.approx(14.0 - uncounted)
    assert times.workers_own == pytest.approx(times.overhead - times.preparing - times.evaluating)


@pytest.mark.alone
@pytest.mark.slow
def test_a_worker_adds_little_to_a_training(tmp_path: Path) -> None:
    run = overhead.run(1, warm_up=0, folder=tmp_path)
    assert run.trials == 1
    assert min(run.parts_s[part] for part in overhead.PARTS if part != "export") > 0
    assert 0 < run.own_s <= run.overhead_s < FAR_TOO_LONG_S
    results = tmp_path / "results.jsonl"
    keep(run, results)
    keep(run, results)
    page = text_of([json.loads(line) for line in results.read_text().splitlines()])
    assert f"| no | 2 | 2 | {run.overhead_s:.2f} (" in page
