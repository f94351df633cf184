"""The fleet as it stands."""

from collections.abc import Sequence

from sqlalchemy import Connection

from service.schemas.workers import InstalledSpaceReference, WorkerView
from service.storage.attempts import open_lease_counts
from service.storage.clock import database_now
from service.storage.worker_holds import holds
from service.storage.workers import WorkerRow, current_workers, find_worker


def list_workers(connection: Connection) -> list[WorkerView]:
    """Every worker by name, as its newest session."""
    return _as_views(connection, current_workers(connection))


def read_worker(connection: Connection, worker_id: str) -> WorkerView:
    """The session of this id. Raises: WorkerNotFound."""
    return _as_views(connection, [find_worker(connection, worker_id)])[0]


def _as_views(connection: Connection, workers: Sequence[WorkerRow]) -> list[WorkerView]:
    now = database_now(connection)
    held = holds(connection)
    busy = open_lease_counts(connection, [worker.id for worker in workers])
    return [
        WorkerView(
            id=worker.id,
            name=worker.name,
            status=worker.status_at(now),
            device=worker.device,
            slots=worker.slots,
            busy_slots=busy[worker.id],
            targets=worker.targets,
            search_spaces=tuple(
                InstalledSpaceReference(name=name, version=version)
                for name, version in worker.search_spaces
            ),
            labels=worker.labels,
            resources=worker.resources,
            profile=worker.profile,
            version=worker.version,
            hold=held.get(worker.name),
            registered_at=worker.registered_at,
            last_seen_at=worker.last_seen_at,
        )
        for worker in workers
    ]
