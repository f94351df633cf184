"""The kept results: one line a run, safe beside another process."""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from benchmarks.optimizer.records import Run, keep_run, load_runs

RUN = Run(
    problem="dtlz2_d6",
    optimizer="optuna_tpe",
    seed=0,
    hypervolume=(0.0, 0.123456789, 0.2),
    cpu_s=(0.0012345, 0.5, 12.3456),
    wall_s=3.14159,
    version="optuna 5.0.0",
    commit="abc",
    date="2026-11-23",
)


def test_a_run_is_one_compact_line_and_comes_back(tmp_path):
    keep_run(RUN, tmp_path)
    (line,) = (tmp_path / "dtlz2_d6.jsonl").read_text().splitlines()
    assert " " not in line.replace("optuna 5.0.0", "")
    (found,) = load_runs("dtlz2_d6", tmp_path)
    assert found.hypervolume == (0.0, 0.123457, 0.2)
    assert found.cpu_s == (0.00123, 0.5, 12.3)
    assert replace(found, hypervolume=RUN.hypervolume, cpu_s=RUN.cpu_s, wall_s=3.14159) == RUN


def test_a_new_run_takes_the_place_of_its_elder(tmp_path):
    keep_run(RUN, tmp_path)
    keep_run(replace(RUN, seed=1), tmp_path)
    keep_run(replace(RUN, hypervolume=(0.5,), cpu_s=(1.0,)), tmp_path)
    assert [(run.seed, run.trials) for run in load_runs("dtlz2_d6", tmp_path)] == [(0, 1), (1, 3)]


def _keep(folder, seed):
    keep_run(replace(RUN, seed=seed), folder)


def test_two_processes_lose_none_of_each_others_runs(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
        for future in [processes.submit(_keep, tmp_path, seed) for seed in range(40)]:
            future.result()
    assert [run.seed for run in load_runs("dtlz2_d6", tmp_path)] == list(range(40))
    assert list(tmp_path.iterdir()) == [tmp_path / "dtlz2_d6.jsonl"]


def test_no_file_is_no_run(tmp_path):
    assert load_runs("dtlz2_d6", tmp_path) == []


def test_nan_is_never_kept_unseen(tmp_path):
    keep_run(RUN, tmp_path)
    line = (tmp_path / "dtlz2_d6.jsonl").read_text()
    json.loads(line, parse_constant=pytest.fail)
