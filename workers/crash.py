"""Tells how a stage process ended that left no result."""

import signal
from pathlib import Path

from workers.safe_text import safe_text
from workers.stage_result import StageFailed
from workers.trial_process import ending_signal

_TAIL_BYTES = 16_000

_USUAL_CAUSES = {
    signal.SIGKILL: "most likely the machine ran out of memory, or someone killed it",
    signal.SIGSEGV: "a crash inside a native library; the log's end shows where",
    signal.SIGABRT: "a native library gave up; the log's end shows why",
    signal.SIGBUS: "memory or a mapped file went away; look whether the disk is full",
    signal.SIGILL: "a native library uses instructions that this processor lacks",
}


def crash(exit_code: int, log_path: Path) -> StageFailed:
    """The machine's fault, in words, with the end of the log."""
    ended_by = ending_signal(exit_code)
    if ended_by is None:
        message = f"The stage process ended with exit code {exit_code} and left no result."
    else:
        cause = _USUAL_CAUSES.get(ended_by)
        message = f"The stage process was ended by {ended_by.name}" + (
            f": {cause}." if cause else "."
        )
    return StageFailed(fault="machine", message=message, detail=_tail(log_path))


def _tail(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return safe_text(file.read().decode("utf-8", "replace"), _TAIL_BYTES, keep="tail")
