"""Measures how far loading and running a network lifts a fresh process's peak resident set."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workers.errors import WorkerError
from workers.measurement.runnable import Runnable

PROCESSES = 3

_TIME_LIMIT_S = 300
_MESSAGE_LENGTH = 600


class MemoryProbeDied(WorkerError):
    """The process that was to measure the peak memory ended without a figure."""


@dataclass(frozen=True)
class PeakMemory:
    """rise_bytes: of each process, over its own baseline; method: how the peak was read."""

    rise_bytes: tuple[int, ...]
    method: str


def measure_peak_memory(
    runtime: str, candidate: Runnable, reference: Runnable, threads: int, work_folder: Path
) -> PeakMemory:
    """The rise in each of `PROCESSES` fresh processes that load the candidate and run it thrice.

    The reference network is loaded, run and freed before, for the baseline: see
    `peak_memory_process`.
    Raises: MemoryProbeDied, with the end of what the process said.
    """
    order = {"runtime": runtime, "threads": threads}
    for prefix, runnable in (("", candidate), ("reference_", reference)):
        inputs_path = work_folder / f"{prefix}inputs.npz"
        np.savez(inputs_path, *runnable.inputs[0])
        order |= {f"{prefix}path": str(runnable.path), f"{prefix}inputs_path": str(inputs_path)}
    results = [_probe(json.dumps(order)) for _ in range(PROCESSES)]
    return PeakMemory(tuple(rise for rise, _ in results), results[0][1])


def _probe(order: str) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-m", "workers.measurement.peak_memory_process", order],
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT_S,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired as error:
        raise MemoryProbeDied(f"it gave no figure within {_TIME_LIMIT_S} s") from error
    if done.returncode != 0:
        raise MemoryProbeDied(
            f"it ended with exit code {done.returncode} (negative: by a signal; -9 often means "
            f"that memory ran out): {done.stderr[-_MESSAGE_LENGTH:].strip()}"
        )
    told = json.loads(done.stdout.splitlines()[-1])
    return int(told["rise_bytes"]), str(told["method"])
