"""Workers as rows, one per session, and the devices they measure on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, select, update

from service.domain.device import OfferedTarget
from service.domain.errors import WorkerNotFound
from service.storage.clock import now_within
from service.storage.insertion import insert_if_absent
from service.storage.tables import devices, workers
from service.storage.worker_holds import is_held

WorkerStatus = Literal["online", "draining", "lost", "stopped"]

_SEEN_GRAIN_S = 2.0
"""A worker seen more recently is not written again: a long poll would write at every look."""


@dataclass(frozen=True)
class WorkerRow:
    """One session of a worker. is_held: a hold on it is in force (see `worker_holds`)."""

    id: str
    name: str
    status: Literal["online", "draining", "stopped"]
    device: str
    slots: int
    stages: tuple[str, ...]
    search_spaces: tuple[tuple[str, int], ...]
    targets: tuple[OfferedTarget, ...]
    labels: dict[str, str]
    resources: dict[str, float]
    profile: dict[str, Any]
    version: str
    ttl_s: float
    registered_at: datetime
    last_seen_at: datetime
    replaced_at: datetime | None
    is_held: bool = False

    def status_at(self, now: datetime) -> WorkerStatus:
        """Its own word, unless it has been silent for longer than a lease lives."""
        silent = now - self.last_seen_at > timedelta(seconds=self.ttl_s)
        return "lost" if silent and self.status != "stopped" else self.status


_COLUMNS = tuple(name for name in WorkerRow.__dataclass_fields__ if name != "is_held")


def insert_worker(connection: Connection, worker: WorkerRow, token_id: str | None) -> None:
    """Adds a session; an earlier one of the same name is marked replaced."""
    values = {name: getattr(worker, name) for name in _COLUMNS}
    values["targets"] = [target.model_dump(mode="json") for target in worker.targets]
    earlier = (
        update(workers)
        .where(workers.c.name == worker.name, workers.c.replaced_at.is_(None))
        .values(replaced_at=worker.registered_at, status="stopped")
    )
    # The devices' rows come first and are not locked: a transaction that held a session's row while
    # it waited for a device would deadlock with another session of the same name.
    for name in sorted({worker.device, *(target.device for target in worker.targets)}):
        row = {"name": name, "first_seen_at": worker.registered_at}
        insert_if_absent(connection, devices, row)
    connection.execute(earlier)
    # Another session of the same name may have come in between: it is replaced in its turn.
    while not insert_if_absent(connection, workers, values | {"token_id": token_id}):
        connection.execute(earlier)


def lock_devices(connection: Connection, worker: WorkerRow) -> None:
    """Holds all that the worker measures on until the commit, always in the same order.

    So that no second measurement on any of them is given out.
    """
    names = sorted({target.device for target in worker.targets})
    held = select(devices.c.name).where(devices.c.name.in_(names)).order_by(devices.c.name)
    connection.execute(held.with_for_update(key_share=True)).all()


def find_worker(connection: Connection, worker_id: str) -> WorkerRow:
    """The session of this id. Raises: WorkerNotFound."""
    return _found(connection, _sessions(connection), worker_id)


def find_current_worker(connection: Connection, id_or_name: str) -> WorkerRow:
    """The session of this id, or the newest of the worker of this name. Raises: WorkerNotFound."""
    query = _sessions(connection).where(
        workers.c.name == id_or_name, workers.c.replaced_at.is_(None)
    )
    row = connection.execute(query).one_or_none()
    return find_worker(connection, id_or_name) if row is None else _as_worker(row)


def lock_worker(connection: Connection, worker_id: str) -> WorkerRow:
    """The session, held until the commit: two claims of one worker take turns at its slots.

    Raises: WorkerNotFound.
    """
    query = _sessions(connection).with_for_update(key_share=True, of=workers)
    return _found(connection, query, worker_id)


def current_workers(connection: Connection) -> list[WorkerRow]:
    """The sessions that no later one has replaced, by name."""
    query = _sessions(connection).where(workers.c.replaced_at.is_(None))
    return [_as_worker(row) for row in connection.execute(query.order_by(workers.c.name))]


def note_seen(connection: Connection, worker_id: str) -> None:
    """Remembers a sign of life; a session that another transaction holds is alive anyway."""
    unseen = select(workers.c.id).where(
        workers.c.id == worker_id,
        workers.c.last_seen_at < now_within(connection, ago_s=_SEEN_GRAIN_S),
    )
    # A heartbeat shall not wait for a claim of the same worker that waits for an experiment.
    free = unseen.with_for_update(skip_locked=True, key_share=True).scalar_subquery()
    connection.execute(
        update(workers).where(workers.c.id == free).values(last_seen_at=now_within(connection))
    )


def set_worker_status(connection: Connection, worker_id: str, status: str) -> None:
    """Takes the worker's own word."""
    connection.execute(update(workers).where(workers.c.id == worker_id).values(status=status))


def _sessions(connection: Connection) -> Select[Any]:
    return select(workers, is_held(connection, workers.c.name).label("is_held"))


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
    values["stages"] = tuple(row.stages)
    values["targets"] = tuple(OfferedTarget.model_validate(target) for target in row.targets)
    values["search_spaces"] = tuple((name, version) for name, version in row.search_spaces)
    return WorkerRow(**values)
