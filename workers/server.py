"""What a worker asks of the server, and which of its refusals are final."""

from pathlib import Path
from typing import Protocol

from service.domain.errors import Conflict, InvalidRequest, NotFound, TooLarge
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

FINAL_REFUSALS = (Conflict, NotFound, InvalidRequest, TooLarge)
"""The same request would be refused again. All other errors may pass: it is worth a retry."""


class Server(Protocol):
    """The part of `service.client.Client` that a worker uses; each call is one request.

    Raises: service.domain.errors.ArchfrontError, as the server answers or is out of reach.
    """

    def register_worker(self, registration: WorkerRegistration) -> WorkerRegistered:
        """Makes the worker known."""
        ...

    def set_worker_status(self, worker_id: str, status: str) -> object:
        """Tells that the worker drains or has stopped."""
        ...

    def claim(self, worker_id: str, wait_s: float) -> LeaseGrant | None:
        """One stage, or None if none became ready within `wait_s`."""
        ...

    def heartbeat(self, lease_id: str, heartbeat: Heartbeat) -> HeartbeatReply:
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

    def upload_artifact(self, path: Path, sha256: str) -> object:
        """Sends a file; sending it again is harmless."""
        ...

    def download_artifact(self, sha256: str, path: Path) -> object:
        """Fetches a file into `path`."""
        ...
