"""Starts a stage process in a group of its own, and ends the group whole."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.watchdog import NOTIFY_VARIABLES

STAGE_PROGRAM = ("-m", "workers.run_stage")
"""What this Python runs to work off an order."""

_SECRETS = ("ARCHFRONT_TOKEN", "ARCHFRONT_WORKER_TOKEN", "ARCHFRONT_DATABASE_URL")
_WORKERS_OWN = frozenset((*_SECRETS, *NOTIFY_VARIABLES))
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SIGNAL_BASE = 128  # a shell's way, and our watcher's, to say "ended by signal N"


def stage_command(order_path: Path, program: Sequence[str] = STAGE_PROGRAM) -> list[str]:
    """The command that works off the order in `order_path` as a child of this process."""
    return [sys.executable, *program, str(order_path), str(os.getpid())]


def stage_environment(
    given: Mapping[str, str], threads: int, gpu: str | None = None
) -> dict[str, str]:
    """`given` for a stage: with its threads and GPU, without what is the worker's alone."""
    kept = {name: value for name, value in given.items() if name not in _WORKERS_OWN}
    return {
        **kept,
        **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}),
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "PYTHONHASHSEED": "0",  # the order of sets is part of a recipe's determinism
        "PYTHONUNBUFFERED": "1",  # the log shall show what was printed, also after a crash
    }


def ending_signal(exit_code: int) -> signal.Signals | None:
    """The signal that ended a process with this exit code; None if it ended by itself."""
    number = -exit_code if exit_code < 0 else exit_code - _SIGNAL_BASE
    try:
        return signal.Signals(number)
    except ValueError:
        return None


class TrialProcess:
    """A running stage. Leaving the `with` block ends it and all that it has started."""

    def __init__(
        self, command: Sequence[str], log_path: Path, environment: Mapping[str, str]
    ) -> None:
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own command, no shell)
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        self._group_ended = False

    @property
    def pid(self) -> int:
        """The process's id, which is also its group's."""
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """The exit code, or None if it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Ends the whole group at once; harmless if it has ended."""
        if self._group_ended:
            return  # its id may by now be another's
        # The id stays taken as long as any process is in the group, also after its leader's end.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._group_ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
