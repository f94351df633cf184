"""Workers as rows, one per session, and the devices they measure on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, select, update

from service.domain.errors import WorkerNotFound
from service.storage.clock import now_within
from service.storage.insertion import insert_if_absent
from service.storage.tables import devices, workers

WorkerStatus = Literal["online", "draining", "lost", "stopped"]

_SEEN_GRAIN_S = 2.0
"""A worker seen more recently is not written again: a long poll would write at every look."""


@dataclass(frozen=True)
class WorkerRow:
    """One session of a worker."""

    id: str
    name: str
    status: Literal["online", "draining", "stopped"]
    device: str
    slots: int
    stages: tuple[str, ...]
    search_spaces: tuple[tuple[str, int], ...]
    runtimes: tuple[str, ...]
    targets: tuple[str, ...]
    labels: dict[str, str]
    profile: dict[str, Any]
    version: str
    ttl_s: float
    registered_at: datetime
    last_seen_at: datetime
    replaced_at: datetime | None

    def status_at(self, now: datetime) -> WorkerStatus:
        """Its own word, unless it has been silent for longer than a lease lives."""
        silent = now - self.last_seen_at > timedelta(seconds=self.ttl_s)
        return "lost" if silent and self.status != "stopped" else self.status


def insert_worker(connection: Connection, worker: WorkerRow, token_id: str | None) -> None:
    """Adds a session; an earlier one of the same name is marked replaced."""
    values = {name: getattr(worker, name) for name in WorkerRow.__dataclass_fields__}
    earlier = (
        update(workers)
        .where(workers.c.name == worker.name, workers.c.replaced_at.is_(None))
        .values(replaced_at=worker.registered_at, status="stopped")
    )
    # The device's row comes first and is not locked: a transaction that held a session's row while
    # it waited for the device would deadlock with another session of the same name.
    device = {"name": worker.device, "first_seen_at": worker.registered_at}
    insert_if_absent(connection, devices, device)
    connection.execute(earlier)
    # Another session of the same name may have come in between: it is replaced in its turn.
    while not insert_if_absent(connection, workers, values | {"token_id": token_id}):
        connection.execute(earlier)


def lock_device(connection: Connection, device: str) -> None:
    """Holds the device until the commit, so that no second measurement on it is given out."""
    held = select(devices.c.name).where(devices.c.name == device).with_for_update(key_share=True)
    if connection.scalar(held) is None:
        row = {"name": device, "first_seen_at": now_within(connection)}
        insert_if_absent(connection, devices, row)
        connection.scalar(held)


def find_worker(connection: Connection, worker_id: str) -> WorkerRow:
    """The session of this id. Raises: WorkerNotFound."""
    return _found(connection, select(workers), worker_id)


def lock_worker(connection: Connection, worker_id: str) -> WorkerRow:
    """The session, held until the commit: two claims of one worker take turns at its slots.

    Raises: WorkerNotFound.
    """
    return _found(connection, select(workers).with_for_update(key_share=True), worker_id)


def current_workers(connection: Connection) -> list[WorkerRow]:
    """The sessions that no later one has replaced, by name."""
    query = select(workers).where(workers.c.replaced_at.is_(None)).order_by(workers.c.name)
    return [_as_worker(row) for row in connection.execute(query)]


def note_seen(connection: Connection, worker_id: str) -> None:
    """Remembers a sign of life."""
    connection.execute(
        update(workers)
        .where(
            workers.c.id == worker_id,
            workers.c.last_seen_at < now_within(connection, ago_s=_SEEN_GRAIN_S),
        )
        .values(last_seen_at=now_within(connection))
    )


def set_worker_status(connection: Connection, worker_id: str, status: str) -> None:
    """Takes the worker's own word."""
    connection.execute(update(workers).where(workers.c.id == worker_id).values(status=status))


def _found(connection: Connection, query: Select[Any], worker_id: str) -> WorkerRow:
    row = connection.execute(query.where(workers.c.id == worker_id)).one_or_none()
    if row is None:
        raise WorkerNotFound(
            f"No worker has the id {worker_id!r}.",
            field="worker_id",
            remedy="Register with POST /v1/workers.",
        )
    return _as_worker(row)


def _as_worker(row: Row[Any]) -> WorkerRow:
    values = {name: getattr(row, name) for name in WorkerRow.__dataclass_fields__}
    for name in ("stages", "runtimes", "targets"):
        values[name] = tuple(values[name])
    values["search_spaces"] = tuple((name, version) for name, version in row.search_spaces)
    return WorkerRow(**values)
