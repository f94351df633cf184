"""Workers on the wire: registration and what the server dictates in return."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from search_spaces.values import Name, ShortText, Value
from service.domain.lease import LeaseTimes

WIRE_VERSION = 1
"""Raised when an older worker can no longer understand the server."""


class InstalledSpaceReference(Value):
    """A search space that the worker can train."""

    name: Name
    version: int


class WorkerRegistration(Value):
    """What a worker can do. Registering again under the same name replaces the earlier session.

    device: identifies the measuring device; two workers on one machine give the same one, and
        never measure on it at the same time.
    stages: the kinds of stage it takes.
    """

    name: Name
    device: ShortText
    slots: Annotated[int, Field(ge=1, le=1_000)] = 1
    stages: tuple[Literal["train", "measure"], ...] = ("train", "measure")
    search_spaces: tuple[InstalledSpaceReference, ...] = ()
    runtimes: tuple[ShortText, ...] = ()
    targets: tuple[Name, ...] = ()
    labels: dict[Name, ShortText] = {}
    profile: dict[str, Any] = {}
    version: ShortText = ""
    wire_version: int = WIRE_VERSION


class WorkerRegistered(Value):
    """The worker's id and the intervals it has to keep."""

    worker_id: str
    times: LeaseTimes


class WorkerView(Value):
    """One worker as the fleet sees it. `lost`: not heard of for longer than a lease lives."""

    id: str
    name: str
    status: Literal["online", "draining", "lost", "stopped"]
    device: str
    slots: int
    busy_slots: int
    search_spaces: tuple[InstalledSpaceReference, ...]
    labels: dict[str, str]
    profile: dict[str, Any]
    version: str
    registered_at: datetime
    last_seen_at: datetime


class WorkerStatusChange(Value):
    """A worker says that it drains (takes nothing new) or has stopped."""

    status: Literal["online", "draining", "stopped"]
