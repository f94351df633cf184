"""The engine `local`: each stage is a process on the worker's own machine."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from service.schemas.leases import LeaseGrant
from workers.crash import crash
from workers.engines.engine import Offer
from workers.resources import machine_resources
from workers.settings import WorkerSettings
from workers.stage_limits import LimitWatch
from workers.stage_order import StageOrder
from workers.stage_result import STAGE_RESULT, StageCompleted, StageFailed, StageInfeasible
from workers.trial_process import STAGE_PROGRAM, TrialProcess, stage_command, stage_environment
from workers.work_folder import WorkFolder

WALL_CLOCK_GRACE_S = 60.0
"""Beyond its wall-clock limit a training that gives no more points is killed after so long."""


class ProcessRun:
    """A stage as a process of this machine; other engines run it so on theirs."""

    def __init__(
        self, order: StageOrder, gpu: str | None = None, program: Sequence[str] = STAGE_PROGRAM
    ) -> None:
        self._order = order
        self._folder = order.folder
        self._folder.order.write_text(order.model_dump_json())
        self._limit_s = _hard_limit_s(order.grant)
        self._began_s = time.monotonic()
        self._process = TrialProcess(
            stage_command(self._folder.order, program),
            self._folder.log,
            stage_environment(os.environ, order.threads, gpu),
        )
        self._watch = LimitWatch(order.grant, order.limits, self._process.pid, order.work_folder)

    def wait(self, timeout_s: float) -> StageCompleted | StageInfeasible | StageFailed | None:
        """How the stage ended; None if it still runs after `timeout_s`."""
        exit_code = self._process.wait(timeout_s)
        if exit_code is not None:
            return _read_result(self._folder) or crash(exit_code, self._folder.log)
        if self._limit_s is not None and time.monotonic() - self._began_s > self._limit_s:
            return _overrun(self._order.grant)
        return self._watch.broken()

    def stop(self) -> None:
        """Lets the training end before its next point."""
        self._folder.stop_flag.touch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()


@dataclass(frozen=True)
class LocalPlace:
    """A slot with the cores and the GPU that are its own."""

    cores: tuple[int, ...] | None
    gpu: str | None
    program: tuple[str, ...]

    def run(self, order: StageOrder) -> ProcessRun:
        """Starts the stage's process."""
        return ProcessRun(order.model_copy(update={"cores": self.cores}), self.gpu, self.program)

    def close(self) -> None:
        """The slot is the caller's in any case."""


class LocalEngine:
    """As many stages as there are slots. program: what Python runs for a stage."""

    def __init__(self, settings: WorkerSettings, program: Sequence[str] = STAGE_PROGRAM) -> None:
        self._settings = settings
        self._program = tuple(program)

    def offer(self) -> Offer:
        """What this machine has."""
        return Offer(resources=machine_resources(self._settings.gpus), labels={})

    def place(self, slot: int) -> LocalPlace:
        """The slot itself: it is free, for its thread asks."""
        cores, gpu = self._settings.cores_of(slot), self._settings.gpu_of(slot)
        return LocalPlace(cores, gpu, self._program)

    def close(self) -> None:
        """There is nothing to let go: each run ends its own process."""


def _read_result(folder: WorkFolder) -> StageCompleted | StageInfeasible | StageFailed | None:
    try:
        return STAGE_RESULT.validate_json(folder.result.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _hard_limit_s(grant: LeaseGrant) -> float | None:
    limit_s = grant.training.wall_clock_limit_s
    if grant.stage_kind != "train" or limit_s is None:
        return None
    return limit_s + WALL_CLOCK_GRACE_S


def _overrun(grant: LeaseGrant) -> StageFailed:
    return StageFailed(
        fault="recipe",
        message=(
            f"Killed {WALL_CLOCK_GRACE_S:g} s after training.wall_clock_limit_s = "
            f"{grant.training.wall_clock_limit_s:g}: training gave no more learning-curve points "
            "at which it could have ended by itself; raise the limit or yield points more often."
        ),
    )
