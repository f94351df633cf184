"""What a worker asks of the server, and which of its refusals are final."""

from pathlib import Path
from typing import Literal, Protocol

from service.domain.errors import (
    ArtifactNotFound,
    Conflict,
    InvalidRequest,
    LeaseNotFound,
    TooLarge,
    WorkerNotFound,
)
from service.schemas.leases import (
    CompleteRequest,
    FailRequest,
    Heartbeat,
    HeartbeatReply,
    InfeasibleRequest,
    LeaseGrant,
    ReportReply,
)
from service.schemas.workers import WorkerRegistered, WorkerRegistration

WorkerStatus = Literal["online", "draining", "stopped"]

FINAL_REFUSALS = (
    Conflict,
    InvalidRequest,
    TooLarge,
    LeaseNotFound,
    WorkerNotFound,
    ArtifactNotFound,
)
"""The same request would be refused again. All other errors may pass: it is worth a retry.

A bare `NotFound` is none of them: it comes from a place that is not our server.
"""


class Server(Protocol):
    """The part of `service.client.Client` that a worker uses.

    The worker itself tries again, for it knows its leases: each call may be a single request.

    Raises: service.domain.errors.ArchfrontError, as the server answers or is out of reach.
    """

    def register_worker(self, registration: WorkerRegistration) -> WorkerRegistered:
        """Makes the worker known."""
        ...

    def set_worker_status(self, worker_id: str, status: WorkerStatus) -> object:
        """Tells that the worker drains or has stopped."""
        ...

    def claim(self, worker_id: str, wait_s: float, *, key: str) -> LeaseGrant | None:
        """One stage, or None if none became ready within `wait_s`; the same for the same key."""
        ...

    def heartbeat(self, lease_id: str, heartbeat: Heartbeat, *, timeout_s: float) -> HeartbeatReply:
        """Renews a lease."""
        ...

    def complete(self, lease_id: str, report: CompleteRequest) -> ReportReply:
        """Reports a result."""
        ...

    def fail(self, lease_id: str, report: FailRequest) -> ReportReply:
        """Reports a failed attempt."""
        ...

    def infeasible(self, lease_id: str, report: InfeasibleRequest) -> ReportReply:
        """Reports an infeasible arm."""
        ...

    def keep_checkpoint(self, lease_id: str, epoch: int, step: int, file: Path) -> object:
        """Sends a training's state after `step` steps, for the stage's next lease to go on from."""
        ...

    def upload_artifact(self, file: Path) -> str:
        """Sends a file and gives its SHA-256; sending it again is harmless."""
        ...

    def download_artifact(self, sha256: str, path: Path) -> object:
        """Fetches a file into `path`."""
        ...
