"""How a stage process ended, as it tells the worker."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from search_spaces.values import ShortText, Value
from service.domain.calibration import Calibration
from service.domain.measurement import Measurements


class OutputFile(Value):
    """A file that the stage made, to be kept under `name`."""

    name: ShortText
    path: Path


class StageCompleted(Value):
    """The stage did its work; `early_stopped`: it was told to stop, this is what it had.

    calibrations: the newest of the device that it measured on.
    """

    ended: Literal["completed"] = "completed"
    measurements: Measurements
    files: tuple[OutputFile, ...] = ()
    early_stopped: bool = False
    calibrations: tuple[Calibration, ...] = ()
    environment: dict[str, Any] = {}


class StageInfeasible(Value):
    """The arm itself is at fault."""

    ended: Literal["infeasible"] = "infeasible"
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
    environment: dict[str, Any] = {}


class StageFailed(Value):
    """The machine or the recipe is at fault, or the attempt was broken off for another's sake."""

    ended: Literal["failed"] = "failed"
    fault: Literal["machine", "recipe", "preempted"]
    message: Annotated[str, Field(max_length=2_000)]
    detail: Annotated[str, Field(max_length=64_000)] = ""
    environment: dict[str, Any] = {}


StageResult = Annotated[
    StageCompleted | StageInfeasible | StageFailed, Field(discriminator="ended")
]

STAGE_RESULT: TypeAdapter[StageCompleted | StageInfeasible | StageFailed] = TypeAdapter(StageResult)
"""Reads and checks a result from JSON."""
