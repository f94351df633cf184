"""The runner: real child processes, kept results, and going on where it was."""

import json
import subprocess
import sys
import time

import psutil
import pytest

from benchmarks.optimizer.__main__ import main, seed_range
from benchmarks.optimizer.peers.registry import PEER_NAMES, QUASI_RANDOM
from benchmarks.optimizer.plan import run_plan
from benchmarks.optimizer.problems.registry import PROBLEM_NAMES
from benchmarks.optimizer.records import load_runs
from benchmarks.optimizer.runner import is_finished, run_all, run_here
from benchmarks.optimizer.runs import hypervolume_curve

pytestmark = pytest.mark.filterwarnings("ignore")  # the peers' own


def test_a_slice_of_the_benchmark_runs_and_makes_its_page(tmp_path, capfd):
    """Ours and a light peer through the command line, in children, to the written page."""
    results = tmp_path / "results"
    command = ["run", "--problems", "branin_currin", "--optimizers", "auto", "optuna_tpe"]
    assert main([*command, "--seeds", "0", "--trials", "6", "--results", str(results)]) == 0
    ours, theirs = load_runs("branin_currin", results)
    assert (ours.optimizer, theirs.optimizer) == ("auto", "optuna_tpe")
    for run in (ours, theirs):
        assert run.trials == 6
        assert len(run.cpu_s) == 6
        assert all(seconds > 0 for seconds in run.cpu_s)
        assert list(run.hypervolume) == sorted(run.hypervolume)
        assert run.machine["cores"] > 0
        assert run.packages["torch"]
    assert theirs.version.startswith("optuna ")
    # the children computed what this process computes
    expected = hypervolume_curve("branin_currin", "optuna_tpe", 0, 6)
    assert list(theirs.hypervolume) == pytest.approx(expected, rel=1e-5)
    capfd.readouterr()
    # finished: nothing runs again
    assert main([*command, "--seeds", "0", "--trials", "6", "--results", str(results)]) == 0
    assert "seed 0" not in capfd.readouterr().out


def test_a_longer_request_runs_again_and_a_shorter_one_does_not(tmp_path):
    run_all(["branin_currin"], ["optuna_nsga2"], [0], 4, tmp_path)
    assert is_finished("branin_currin", "optuna_nsga2", 0, 3, tmp_path)
    assert not is_finished("branin_currin", "optuna_nsga2", 0, 5, tmp_path)
    run_all(["branin_currin"], ["optuna_nsga2"], [0], 5, tmp_path)
    (run,) = load_runs("branin_currin", tmp_path)
    assert run.trials == 5


def test_ours_runs_again_under_another_commit_only_if_asked_to(tmp_path, monkeypatch):
    record = run_here("branin_currin", "sobol", 0, 2)
    path = tmp_path / "branin_currin.jsonl"
    run_all(["branin_currin"], ["sobol"], [0], 2, tmp_path)
    (kept,) = load_runs("branin_currin", tmp_path)
    assert kept.commit == record.commit
    monkeypatch.setattr("benchmarks.optimizer.runner.present_commit", lambda: "another")
    assert is_finished("branin_currin", "sobol", 0, 2, tmp_path)
    assert not is_finished("branin_currin", "sobol", 0, 2, tmp_path, renew=True)
    fields = json.loads(path.read_text()) | {"optimizer": "optuna_tpe"}
    path.write_text(json.dumps(fields) + "\n")
    assert is_finished("branin_currin", "optuna_tpe", 0, 2, tmp_path, renew=True)


def test_a_failed_run_is_told_and_the_others_go_on(tmp_path):
    failures = run_all(["branin_currin"], ["no_such", "optuna_nsga2"], [0], 3, tmp_path)
    assert len(failures) == 1
    assert "no_such" in failures[0]
    assert [run.optimizer for run in load_runs("branin_currin", tmp_path)] == ["optuna_nsga2"]


@pytest.mark.parametrize("optimizer", ["auto", "sobol"])
def test_a_run_of_ours_is_deterministic(optimizer):
    once = run_here("branin_currin", optimizer, 2, 6)
    again = run_here("branin_currin", optimizer, 2, 6)
    assert once.hypervolume == again.hypervolume


def test_the_command_explains_itself():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.optimizer", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for command in ("run", "peers", "table", "cost", "record", "install-vizier"):
        assert command in done.stdout


def test_seeds_are_a_range_or_a_list():
    assert seed_range("0..4") == [0, 1, 2, 3, 4]
    assert seed_range("3,5") == [3, 5]
    assert seed_range("7") == [7]


def test_the_plan_gives_every_peer_five_seeds_of_every_problem(monkeypatch, tmp_path):
    asked = []

    def record(problems, optimizers, seeds, trials, folder):
        asked.extend((p, o, s) for p in problems for o in optimizers for s in seeds)
        assert trials >= 100
        return [f"{optimizers} failed"]

    monkeypatch.setattr("benchmarks.optimizer.plan.run_all", record)
    failures = run_plan(tmp_path)
    assert len(asked) == len(set(asked))
    missing = {
        (problem, peer, seed)
        for problem in PROBLEM_NAMES
        for peer in [*PEER_NAMES, QUASI_RANDOM]
        for seed in range(5)
    } - set(asked)
    # Vizier's default takes no outcome constraints
    assert missing == {("c2_dtlz2", "vizier", seed) for seed in range(5)}
    assert failures


def test_a_killed_runner_takes_its_child_along_and_leaves_no_half_result(tmp_path):
    command = [sys.executable, "-m", "benchmarks.optimizer", "run", "--seeds", "0"]
    command += ["--problems", "penicillin", "--optimizers", "sobol", "--trials", "100000"]
    runner = subprocess.Popen([*command, "--results", str(tmp_path)], stdout=subprocess.DEVNULL)
    children: list[psutil.Process] = []
    try:
        for _ in range(200):
            children = psutil.Process(runner.pid).children()
            if any("one" in child.cmdline() for child in children):
                break
            time.sleep(0.1)
    finally:
        runner.kill()
        runner.wait()
    assert children
    gone, alive = psutil.wait_procs(children, timeout=20)
    for process in alive:
        process.kill()
    assert not alive
    assert gone
    assert list(tmp_path.iterdir()) == []
