"""The stage process: `python -m workers.run_stage ORDER.json WORKER_PID`.

It is two processes in one group of their own. The first only watches: when the worker dies, or
asks for it, it takes the whole group down, also what the stage itself has started. The second
does the work. The first stays free of torch, so that it is small and never busy.
"""

import atexit
import os
import signal
import sys
from pathlib import Path

from workers.parent_death import die_with_parent

_LOOK_AFTER_PARENT_S = 1.0  # for platforms that do not tell of a parent's death


def _end_group(*_: object) -> None:
    os.killpg(0, signal.SIGKILL)


def watch(child_pid: int, parent_pid: int) -> int:
    """Waits for the child and gives its exit code, 128 + N if signal N ended it.

    On SIGTERM, and when `parent_pid` is no longer the parent, it kills the whole process group,
    itself with it.
    """

    def look_after_parent(*_: object) -> None:
        if os.getppid() != parent_pid:
            _end_group()

    signal.signal(signal.SIGALRM, look_after_parent)
    # The alarm also interrupts the wait below, should a SIGTERM have come just before it.
    signal.setitimer(signal.ITIMER_REAL, _LOOK_AFTER_PARENT_S, _LOOK_AFTER_PARENT_S)
    _, status = os.waitpid(child_pid, 0)
    # While the interpreter ends, its handlers are gone: an alarm then would end this process by
    # itself, and the child's own end would not be told.
    signal.setitimer(signal.ITIMER_REAL, 0)
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    return os.waitstatus_to_exitcode(status)


def _prefer_as_victim() -> None:
    # When memory runs out, the kernel shall take the stage, not the worker that reports it.
    adjustment = Path("/proc/self/oom_score_adj")
    if adjustment.exists():
        adjustment.write_text("500")


class _QuickEnd:
    """Ends the process once all that was to be done at its end is done.

    What Python does after that takes torch apart, module by module, for a second of CPU time, while
    the worker waits for the process to end.
    """

    def __init__(self) -> None:
        self.is_due = False
        # Registered first, hence called last: after the threads and all that others registered.
        atexit.register(self._end)

    def _end(self) -> None:
        if self.is_due:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)


def main(order_path: str, parent_pid: int) -> int:
    """Runs the stage in a child of its own and gives its exit code."""
    signal.signal(signal.SIGTERM, _end_group)
    die_with_parent(parent_pid, signal.SIGTERM)
    watcher_pid = os.getpid()
    child_pid = os.fork()
    if child_pid:
        return watch(child_pid, parent_pid)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(watcher_pid)
    _prefer_as_victim()
    end = _QuickEnd()
    from workers.stage import run_order  # noqa: PLC0415  (pydantic and torch: in the child alone)

    run_order(Path(order_path))
    end.is_due = True
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
