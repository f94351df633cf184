"""Runs what is not finished yet, one child process with one thread after the other."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

from benchmarks.optimizer.peers.registry import PEER_NAMES, start
from benchmarks.optimizer.problems.registry import find_problem
from benchmarks.optimizer.records import RESULTS_FOLDER, Run, keep_run, load_runs
from benchmarks.optimizer.runs import steps
from benchmarks.source_commit import ROOT, commit_of
from workers.environment import machine_profile

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""The environment of every child: one thread of each numerical library."""

_PACKAGES = ("ax-platform", "botorch", "gpytorch", "moocore", "numpy", "optuna", "pymoo", "torch")
_OPTIMIZER = "service/optimizer"


def run_all(
    problems: Sequence[str],
    optimizers: Sequence[str],
    seeds: Sequence[int],
    trials: int,
    folder: Path = RESULTS_FOLDER,
    *,
    renew: bool = False,
) -> list[str]:
    """Runs every combination that has not got so many trials yet; seeds in the outer loop.

    Results are kept run by run, so that it may be killed and started again at any time.
    renew: our own strategies run again where the kept run is of another commit.
    Gives what failed, one line each.
    """
    failures = []
    for seed, problem, optimizer in product(seeds, problems, optimizers):
        if is_finished(problem, optimizer, seed, trials, folder, renew=renew):
            continue
        print(f"{_now():%H:%M:%S} {problem} {optimizer} seed {seed} ...", end=" ", flush=True)
        started_s = time.monotonic()
        child = _child(problem, optimizer, seed, trials, folder)
        if child.returncode == 0:
            print(f"{time.monotonic() - started_s:.0f} s", flush=True)
            continue
        reason = (child.stderr.strip().splitlines() or ["no message"])[-1]
        failures.append(f"{problem} {optimizer} seed {seed}: {reason}")
        print(f"failed: {reason}", flush=True)
    return failures


def is_finished(
    problem: str, optimizer: str, seed: int, trials: int, folder: Path, *, renew: bool = False
) -> bool:
    """Whether a run of at least so many trials is kept (with `renew`: of the present commit)."""
    for run in load_runs(problem, folder):
        if run.key == (optimizer, seed) and run.trials >= trials:
            return not renew or optimizer in PEER_NAMES or run.commit == present_commit()
    return False


def run_here(problem: str, optimizer: str, seed: int, trials: int) -> Run:
    """One run in this process, with all that the record needs."""
    load_average, commit = round(os.getloadavg()[0], 2), present_commit()
    started_s = time.monotonic()
    found = find_problem(problem)
    peer = start(optimizer, found, seed, trials)
    taken = list(steps(found, peer, seed, trials))
    profile = machine_profile()
    return Run(
        problem=problem,
        optimizer=optimizer,
        seed=seed,
        hypervolume=tuple(volume for volume, _ in taken),
        cpu_s=tuple(seconds for _, seconds in taken),
        wall_s=time.monotonic() - started_s,
        version=peer.version,
        commit=commit,
        date=f"{_now():%Y-%m-%d}",
        packages=dict(_versions()),
        machine={
            name: profile[name]
            for name in ("processor", "cores", "memory_bytes", "system", "python")
        }
        | {"load_average": load_average},
    )


def present_commit() -> str:
    """Of the optimizer."""
    return commit_of(_OPTIMIZER)


def _child(
    problem: str, optimizer: str, seed: int, trials: int, folder: Path
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.optimizer", "one", problem, optimizer]
    command += [str(seed), str(trials), "--results", str(folder.absolute())]
    command += ["--parent", str(os.getpid())]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | ONE_THREAD,
        capture_output=True,
        text=True,
        check=False,
    )


def run_one(problem: str, optimizer: str, seed: int, trials: int, folder: Path) -> None:
    """The child's part: runs and keeps."""
    keep_run(run_here(problem, optimizer, seed, trials), folder)


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _now() -> datetime:
    return datetime.now(UTC)
