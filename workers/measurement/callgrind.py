"""Finds Valgrind's callgrind, and makes the library through which a process tells it what to count.

Importing this module imports no numpy: a worker asks here what it can offer.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from workers.errors import MetricNotGiven

_SOURCE = Path(__file__).with_name("callgrind_requests.c")
_TOLD_LENGTH = 300


class CallgrindMissing(MetricNotGiven):
    """Instructions cannot be counted on this machine."""


def require_callgrind() -> None:
    """Raises: CallgrindMissing, with what to install."""
    valgrind_version()
    with tempfile.TemporaryDirectory() as folder:
        compile_requests(Path(folder))


def valgrind_version() -> str:
    """As Valgrind tells it. Raises: CallgrindMissing."""
    try:
        done = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError) as error:
        raise CallgrindMissing(
            f"instructions are counted by Valgrind, which cannot be run here ({error}); install it "
            "(Debian: apt-get install valgrind)"
        ) from error
    return done.stdout.strip().removeprefix("valgrind-")


def compile_requests(folder: Path) -> Path:
    """The shared library, made anew in `folder` in a tenth of a second.

    Raises: CallgrindMissing, with what the compiler says.
    """
    compiler, made = os.environ.get("CC") or "cc", folder / "callgrind_requests.so"
    command = [compiler, "-O2", "-shared", "-fPIC", str(_SOURCE), "-o", str(made)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        told = f"there is no {compiler} on this machine"
    else:
        if done.returncode == 0:
            return made
        told = f"{compiler} says: {' '.join(done.stderr.split())[:_TOLD_LENGTH]}"
    raise CallgrindMissing(
        f"what asks Valgrind to count could not be compiled: {told}; install a C compiler and "
        "Valgrind's header (Debian: apt-get install gcc libc6-dev valgrind), or name a compiler "
        "in CC"
    )
