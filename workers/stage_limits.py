"""What a stage may use, and whose limit it is that it does not keep to.

Looked at from outside: a limit of the address space (RLIMIT_AS) would refuse what CUDA only
reserves, and one by control groups needs a machine that lets the worker make them.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from search_spaces.values import Value
from service.domain.experiment import TrainingSettings
from service.schemas.leases import LeaseGrant
from workers.process_memory import held_bytes
from workers.stage_result import StageFailed, StageInfeasible

MEMORY_LOOK_S = 0.5
DISK_LOOK_S = 5.0

_GIB = 1024**3
_BLOCK_BYTES = 512  # of `st_blocks`, whatever the file system's own

_Limit = Annotated[float, Field(gt=0)] | None


class StageLimits(Value):
    """A worker's, for each of its stages; None: no limit.

    memory_gib: of the stage's process and all that it starts.
    disk_gib: of the files in its work folder.
    time_s: from its start to its end.
    """

    memory_gib: _Limit = None
    disk_gib: _Limit = None
    time_s: _Limit = None


@dataclass(frozen=True)
class _Bound:
    """The tighter of two limits, and whose it is."""

    limit: float
    name: str
    is_the_arms: bool


class LimitWatch:
    """Looks after one running stage.

    A limit that the experiment sets is a property that its arms have or lack: beyond it the arm is
    infeasible. One that the worker sets is this machine's: elsewhere there may be more room.
    pid: the stage's process.
    """

    def __init__(
        self,
        grant: LeaseGrant,
        limits: StageLimits,
        pid: int,
        folder: Path,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        # The experiment's are limits of a training.
        own = grant.training if grant.stage_kind == "train" else TrainingSettings()
        self._pid = pid
        self._folder = folder
        self._clock_s = clock_s
        self._began_s = clock_s()
        self._time_s = limits.time_s
        self._memory = _tighter("memory_limit_gib", own.memory_limit_gib, limits.memory_gib)
        self._disk = _tighter("disk_limit_gib", own.disk_limit_gib, limits.disk_gib)
        self._memory_look_s = self._disk_look_s = self._began_s

    def broken(self) -> StageInfeasible | StageFailed | None:
        """How the stage ends for a limit that it does not keep to; None: it goes on.

        Cheap enough to be asked many times a second: it looks as seldom as it may.
        """
        now_s = self._clock_s()
        if self._time_s is not None and now_s - self._began_s > self._time_s:
            return _not_here(f"took more than {self._time_s:g} s", "time_limit_s")
        if self._memory is not None and now_s >= self._memory_look_s:
            self._memory_look_s = now_s + MEMORY_LOOK_S
            held = held_bytes(self._pid, self._memory.limit * _GIB)
            if held > self._memory.limit * _GIB:
                return _over(self._memory, f"held {held / _GIB:.2f} GiB of memory")
        if self._disk is not None and now_s >= self._disk_look_s:
            self._disk_look_s = now_s + DISK_LOOK_S
            written = _folder_bytes(self._folder)
            if written > self._disk.limit * _GIB:
                return _over(self._disk, f"had {written / _GIB:.2f} GiB of files")
        return None


def _tighter(name: str, experiments: float | None, workers: float | None) -> _Bound | None:
    if experiments is not None and (workers is None or experiments <= workers):
        return _Bound(experiments, name, is_the_arms=True)
    return None if workers is None else _Bound(workers, name, is_the_arms=False)


def _over(bound: _Bound, what: str) -> StageInfeasible | StageFailed:
    if not bound.is_the_arms:
        return _not_here(f"{what}, more than {bound.limit:g} GiB", bound.name)
    return StageInfeasible(
        reason=f"The training {what}, more than training.{bound.name} = {bound.limit:g}."
    )


def _not_here(what: str, name: str) -> StageFailed:
    return StageFailed(
        fault="machine",
        message=f"The stage {what}, this worker's {name}; raise it "
        f"(ARCHFRONT_WORKER_{name.upper()}) or let the experiment require more.",
    )


def _folder_bytes(folder: Path) -> int:
    """What the files below take on the disk; those that come and go meanwhile may be missed."""
    total = 0
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
        except OSError:
            continue
    return total
