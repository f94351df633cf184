"""Workers come, drain and go."""

from sqlalchemy import Connection

from service.domain.errors import InvalidRequest, TransitionRefused
from service.domain.lease import LeaseTimes
from service.schemas.workers import (
    WIRE_VERSION,
    WorkerRegistered,
    WorkerRegistration,
    WorkerStatusChange,
    WorkerView,
)
from service.storage import events
from service.storage.clock import database_now
from service.storage.columns import require_finite
from service.storage.identifiers import new_id
from service.storage.workers import (
    WorkerRow,
    insert_worker,
    lock_worker,
    note_seen,
    set_worker_status,
)
from service.use_cases.list_workers import read_worker


def register_worker(
    connection: Connection,
    registration: WorkerRegistration,
    token_id: str | None,
    times: LeaseTimes,
) -> WorkerRegistered:
    """A new session of the worker, under a new id; an earlier one of its name can claim no more.

    The earlier session's leases run on to their end, so that a restarted worker can still
    deliver what it had finished.
    Raises: InvalidRequest if the worker speaks another version of the wire.
    """
    if registration.wire_version != WIRE_VERSION:
        older = "worker" if registration.wire_version < WIRE_VERSION else "server"
        raise InvalidRequest(
            f"The worker speaks wire version {registration.wire_version}, "
            f"the server version {WIRE_VERSION}.",
            field="wire_version",
            remedy=f"Upgrade the {older}.",
        )
    require_finite(registration.profile, "profile")
    now = database_now(connection)
    worker = WorkerRow(
        id=new_id("worker"),
        name=registration.name,
        status="online",
        device=registration.device,
        slots=registration.slots,
        stages=registration.stages,
        search_spaces=tuple((space.name, space.version) for space in registration.search_spaces),
        targets=registration.targets,
        labels=dict(registration.labels),
        resources=dict(registration.resources),
        profile=registration.profile,
        version=registration.version,
        ttl_s=times.ttl_s,
        registered_at=now,
        last_seen_at=now,
        replaced_at=None,
    )
    insert_worker(connection, worker, token_id)
    data = {"worker_id": worker.id, "name": worker.name}
    events.append(connection, "worker_registered", data=data)
    return WorkerRegistered(worker_id=worker.id, times=times)


def change_worker_status(
    connection: Connection, worker_id: str, change: WorkerStatusChange
) -> WorkerView:
    """Takes the worker's own word. Raises: WorkerNotFound, TransitionRefused if replaced."""
    worker = lock_worker(connection, worker_id)
    if worker.replaced_at is not None and change.status != "stopped":
        raise TransitionRefused(
            f"Worker {worker.name!r} has registered again as another session.",
            remedy="Register with POST /v1/workers.",
        )
    note_seen(connection, worker_id)
    if worker.status != change.status:
        set_worker_status(connection, worker_id, change.status)
        data = {"worker_id": worker_id, "name": worker.name}
        events.append(connection, f"worker_{change.status}", data=data)
    return read_worker(connection, worker_id)
