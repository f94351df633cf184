"""Counts the machine instructions of one inference, in a process of its own under callgrind.

Almost free of noise, so that networks can be ranked by it on a busy machine; but no latency: what
an instruction waits for does not count. Valgrind shows a processor of its own, without the newest
vector instructions, and a runtime that chooses its kernels by the processor chooses others there.
Always on one thread: others that wait spin, and would be counted.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from workers.errors import WorkerError
from workers.measurement.array_file import write_arrays
from workers.measurement.callgrind import compile_requests, valgrind_version
from workers.measurement.optional_figure import OptionalFigure
from workers.measurement.runnable import Runnable

INFERENCES = 3
"""Counted each by itself; they take turns among the inputs."""

_TIME_LIMIT_S = 1_200
_MESSAGE_LENGTH = 600
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)


class InstructionCountFailed(WorkerError):
    """The process whose instructions were to be counted ended without a count."""


def count_instructions(runtime: str, candidate: Runnable, work_folder: Path) -> OptionalFigure:
    """Instructions of each of `INFERENCES`, without those that it takes to call it from Python.

    It takes ten seconds to a minute: a process comes up at a fiftieth of its usual speed.
    Raises: CallgrindMissing; InstructionCountFailed, with the end of what the process said.
    """
    version = valgrind_version()
    with tempfile.TemporaryDirectory(dir=work_folder, prefix="callgrind-") as made:
        folder = Path(made)
        inputs = folder / "inputs.npz"
        write_arrays(inputs, candidate.inputs[:INFERENCES])
        order = {
            "runtime": runtime,
            "path": str(candidate.path.absolute()),
            "inputs_path": str(inputs),
            "requests_path": str(compile_requests(folder)),
            "inferences": INFERENCES,
        }
        counts = _counted(json.dumps(order), folder)
    nothing, *inferences = counts
    return OptionalFigure(
        tuple(float(count - nothing) for count in inferences),
        f"callgrind {version}, {INFERENCES} inferences on one thread, the call from Python "
        f"({nothing} instructions) taken off",
    )


def _counted(order: str, folder: Path) -> list[int]:
    """Of nothing, then of each inference."""
    dumps = folder / "counts"
    command = [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--collect-atstart=no",
        f"--callgrind-out-file={dumps}",
        sys.executable,
        "-m",
        "workers.measurement.instruction_count_process",
        order,
    ]
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONHASHSEED": "0",  # else the order of sets, and with it the count, changes
        **dict.fromkeys(_ONE_THREAD, "1"),
    }
    try:
        done = subprocess.run(  # noqa: S603  (Valgrind, our own interpreter and module)
            command,
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT_S,
            check=False,
            env=os.environ | environment,
        )
    except subprocess.TimeoutExpired as error:
        raise InstructionCountFailed(f"it gave no count within {_TIME_LIMIT_S} s") from error
    if done.returncode != 0:
        raise InstructionCountFailed(
            f"it ended with exit code {done.returncode}: {done.stderr[-_MESSAGE_LENGTH:].strip()}"
        )
    return [_total(dumps.with_name(f"counts.{number}")) for number in range(1, INFERENCES + 2)]


def _total(dump: Path) -> int:
    found = _TOTALS.search(dump.read_text()) if dump.exists() else None
    if found is None:
        raise InstructionCountFailed(f"callgrind left no count in {dump.name}")
    return int(found[1])
