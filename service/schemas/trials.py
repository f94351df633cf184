"""Trials on the wire: the rows of the list, attaching by hand, ask and tell."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from search_spaces.parameters import ParameterValue
from search_spaces.values import Name, ShortText, Text, Value
from service.domain.measurement import Measurements
from service.domain.trial import AttemptOutcome, Trial


class AttachRequest(Value):
    """An arm chosen by hand; with measurements it is completed at once, without it is run."""

    parameters: dict[Name, ParameterValue]
    measurements: Measurements = {}
    infeasible_reason: Text | None = None


class AskRequest(Value):
    """Asks for the next candidate to run elsewhere, to be told within `lease_seconds`.

    wait_s: how long to wait for one if none is ready yet.
    """

    wait_s: Annotated[float, Field(ge=0, le=30)] = 0.0
    lease_seconds: Annotated[float, Field(gt=0, le=2_592_000)] = 86_400.0


class AskReply(Value):
    """A candidate to evaluate. `tell` names its trial number (and, to be fenced, the epoch)."""

    trial: Trial
    lease_id: str
    epoch: int
    expires_at: datetime


class TellRequest(Value):
    """The outcome of an asked trial: measurements, or why the arm is infeasible."""

    trial_number: Annotated[int, Field(ge=0)]
    epoch: int | None = None
    measurements: Measurements = {}
    infeasible_reason: Text | None = None


class StopRequest(Value):
    """Why the trial is stopped."""

    reason: ShortText = "stopped by hand"


class AttemptView(Value):
    """One attempt at one stage: who, when, how it ended.

    resumed_after_step: where its training went on from another attempt's; None: it began anew.
    """

    lease_id: str
    stage: str
    epoch: int
    worker_id: str | None
    claimed_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    detail: str | None = None
    resumed_after_step: int | None = None
    environment: dict[str, Any] = {}


class CurvePointView(Value):
    """One learning-curve value."""

    step: int
    metric: str
    value: float


class ArtifactLink(Value):
    """A file that the winning attempt of a stage left behind."""

    stage: str
    name: str
    sha256: str
    size_bytes: int


class TrialDetail(Value):
    """All of one trial: attempts, learning curves and artifacts of its winning attempts."""

    trial: Trial
    attempts: tuple[AttemptView, ...]
    curves: tuple[CurvePointView, ...]
    artifacts: tuple[ArtifactLink, ...]
