"""Leases on the wire: claim, heartbeat and the three ways to report."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from search_spaces.arm import Arm
from search_spaces.values import MetricName, ShortText, Value
from service.domain.calibration import Calibration
from service.domain.device import MeasurementSettings
from service.domain.experiment import SearchSpaceReference, TrainingSettings
from service.domain.measurement import Measurements
from service.domain.requirements import Requirements
from service.domain.trial import StageKind

MAX_CURVE_POINTS_PER_REQUEST = 1_000
MAX_LOG_CHUNK_BYTES = 64 * 1024
MAX_CALIBRATIONS = 100


class ClaimRequest(Value):
    """Asks for one stage, waiting up to `wait_s` for one to become ready."""

    worker_id: ShortText
    wait_s: Annotated[float, Field(ge=0, le=30)] = 0.0


class InputArtifact(Value):
    """A file from an earlier stage of the same trial."""

    name: ShortText
    sha256: str
    size_bytes: int


class CheckpointReference(Value):
    """The state that an earlier attempt at the stage left after `step` optimizer steps."""

    step: int
    sha256: str
    size_bytes: int


class LeaseGrant(Value):
    """All that a worker needs to work off one stage; configuration, never code.

    target: what a `measure` stage measures on; None for a training.
    measurement: the settings on the target; for a training, on the first one of the experiment.
    metrics: what the stage has to report, of all that it could.
    checkpoint: what a training goes on from (None: it begins).
    requires: what a training's experiment needs of the machine that it runs on.
    """

    lease_id: str
    epoch: int
    expires_at: datetime
    ttl_s: float
    heartbeat_s: float
    experiment_id: str
    experiment_name: str
    trial_number: int
    stage: ShortText
    stage_kind: StageKind
    search_space: SearchSpaceReference
    arm: Arm
    seed: int
    training: TrainingSettings
    target: ShortText | None = None
    measurement: MeasurementSettings
    metrics: tuple[MetricName, ...]
    inputs: tuple[InputArtifact, ...] = ()
    checkpoint: CheckpointReference | None = None
    requires: Requirements = Requirements()


class CurvePointReport(Value):
    """Learning-curve values after `step` optimizer steps."""

    step: Annotated[int, Field(ge=0, le=2**53)]
    metrics: Annotated[dict[MetricName, float], Field(max_length=50)]


class LogChunk(Value):
    """Text of the attempt's log from character `offset` on; re-sending the same is harmless."""

    offset: Annotated[int, Field(ge=0)]
    text: Annotated[str, Field(max_length=MAX_LOG_CHUNK_BYTES)]


class Heartbeat(Value):
    """A sign of life, with what came up since the last one.

    resumed_after_step: the training has gone on from the grant's checkpoint.
    """

    epoch: int
    curve: Annotated[
        tuple[CurvePointReport, ...], Field(max_length=MAX_CURVE_POINTS_PER_REQUEST)
    ] = ()
    log: LogChunk | None = None
    resumed_after_step: Annotated[int, Field(ge=0, le=2**53)] | None = None


class HeartbeatReply(Value):
    """`command`: go on; stop early (report what there is so far); or drop the work."""

    expires_at: datetime
    ttl_s: float
    command: Literal["continue", "stop", "cancel"]


class OutputArtifact(Value):
    """A file uploaded before the report, by its SHA-256."""

    name: ShortText
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CompleteRequest(Value):
    """The stage's result. `early_stopped`: it obeyed a stop and this is what it had.

    calibrations: the newest of the device measured on; those known already are skipped.
    """

    epoch: int
    measurements: Measurements
    artifacts: Annotated[tuple[OutputArtifact, ...], Field(max_length=50)] = ()
    environment: dict[str, Any] = {}
    early_stopped: bool = False
    calibrations: Annotated[tuple[Calibration, ...], Field(max_length=MAX_CALIBRATIONS)] = ()


class FailRequest(Value):
    """The attempt failed, and whose fault it was.

    machine: out of memory, a crash, a lost device: the stage is tried again.
    recipe: an error in the recipe: the trial fails.
    preempted: the worker drains: tried again, not counted as an attempt.
    """

    epoch: int
    fault: Literal["machine", "recipe", "preempted"]
    message: Annotated[str, Field(max_length=2_000)]
    detail: Annotated[str, Field(max_length=64_000)] = ""
    environment: dict[str, Any] = {}


class InfeasibleRequest(Value):
    """The arm itself is at fault; it will never be tried again."""

    epoch: int
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
    measurements: Measurements = {}
    environment: dict[str, Any] = {}


class ReportReply(Value):
    """What the report was recorded as."""

    trial_number: int
    trial_status: str
    stage_status: str
