"""Workers on the wire: registration and what the server dictates in return."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from search_spaces.values import Name, ShortText, Text, Value
from service.domain.device import OfferedTarget
from service.domain.lease import LeaseTimes
from service.domain.worker_hold import WorkerHold

WIRE_VERSION = 5
"""Raised when an older worker can no longer understand the server."""


class InstalledSpaceReference(Value):
    """A search space that the worker can train."""

    name: Name
    version: int


class WorkerRegistration(Value):
    """What a worker can do. Registering again under the same name replaces the earlier session.

    device: the machine that it runs on.
    stages: the kinds of stage it takes.
    targets: what it can measure on, each once.
    labels, resources: what experiments may require of it, by name.
    """

    name: Name
    device: ShortText
    slots: Annotated[int, Field(ge=1, le=1_000)] = 1
    stages: tuple[Literal["train", "measure"], ...] = ("train", "measure")
    search_spaces: tuple[InstalledSpaceReference, ...] = ()
    targets: Annotated[tuple[OfferedTarget, ...], Field(max_length=100)] = ()
    labels: dict[Name, ShortText] = {}
    resources: dict[Name, float] = {}
    profile: dict[str, Any] = {}
    version: ShortText = ""
    wire_version: int = WIRE_VERSION

    @model_validator(mode="after")
    def _targets_differ(self) -> Self:
        names = [target.name for target in self.targets]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"targets names {', '.join(repeated)} twice; list each of them once")
        return self


class WorkerEnrollment(Value):
    """Asks for the token of the worker that a one-use token is for.

    session: made up by the worker and kept to itself. With the same one, and as long as the
        one-use token lives, a lost answer is given again; with any other it is refused.
    host: the machine, for the record of who used the token.
    """

    worker: Name
    session: Annotated[str, Field(min_length=32, max_length=200, pattern=r"^[\x21-\x7e]+$")]
    host: ShortText = ""


class WorkerEnrolled(Value):
    """The worker's own token: it registers that worker and works for it, and nothing else."""

    worker: str
    token_id: str
    token: str


class WorkerRegistered(Value):
    """The worker's id and the intervals it has to keep."""

    worker_id: str
    times: LeaseTimes


class WorkerView(Value):
    """One worker as the fleet sees it.

    status: `lost` if it was not heard of for longer than a lease lives.
    hold: why it is given nothing new.
    """

    id: str
    name: str
    status: Literal["online", "draining", "lost", "stopped"]
    device: str
    slots: int
    busy_slots: int
    targets: tuple[OfferedTarget, ...]
    search_spaces: tuple[InstalledSpaceReference, ...]
    labels: dict[str, str]
    resources: dict[str, float]
    profile: dict[str, Any]
    version: str
    hold: WorkerHold | None = None
    registered_at: datetime
    last_seen_at: datetime


class WorkerPause(Value):
    """Keeps a worker from new work. for_s: so long; None: until it is resumed."""

    note: Annotated[Text, Field(max_length=1_000)] = ""
    for_s: Annotated[float, Field(gt=0, le=366 * 86_400)] | None = None


class WorkerStatusChange(Value):
    """A worker says that it drains (takes nothing new) or has stopped."""

    status: Literal["online", "draining", "stopped"]
