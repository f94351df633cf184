"""Workers come, drain and go."""

from sqlalchemy import Connection
from service.domain.lease import LeaseTimes
from service.schemas.workers import (
    WorkerRegistered,
    WorkerRegistration,
    WorkerStatusChange,
    WorkerView,
)


def register_worker(
    connection: Connection,
    registration: WorkerRegistration,
    token_id: str | None,
    times: LeaseTimes,
) -> WorkerRegistered:
    """Replaces the earlier session of the same name. Raises: InvalidRequest for another wire version."""
    raise NotImplementedError


def change_worker_status(
    connection: Connection, worker_id: str, change: WorkerStatusChange
) -> WorkerView:
    """Raises: WorkerNotFound."""
    raise NotImplementedError
