"""Keeps workers from new work for a while: by hand, or because they fail again and again."""

from datetime import timedelta

from sqlalchemy import Connection

from service.domain.worker_hold import QUARANTINE, WorkerHold, is_failing
from service.schemas.workers import WorkerPause, WorkerView
from service.storage import events
from service.storage.clock import database_now
from service.storage.worker_holds import hold, newest_outcomes, release
from service.storage.workers import find_current_worker
from service.use_cases.list_workers import read_worker


def pause_worker(connection: Connection, id_or_name: str, pause: WorkerPause) -> WorkerView:
    """The worker gets nothing new until the time is over or it is resumed; what it holds goes on.

    Raises: WorkerNotFound.
    """
    worker = find_current_worker(connection, id_or_name)
    now = database_now(connection)
    until = None if pause.for_s is None else now + timedelta(seconds=pause.for_s)
    hold(
        connection,
        worker.name,
        WorkerHold(kind="paused", note=pause.note, held_at=now, until=until),
    )
    _tell(connection, "worker_paused", worker.name, pause.note)
    return read_worker(connection, worker.id)


def resume_worker(connection: Connection, id_or_name: str) -> WorkerView:
    """Ends a pause or a quarantine; nothing happens to a worker that is under neither.

    Raises: WorkerNotFound.
    """
    worker = find_current_worker(connection, id_or_name)
    if release(connection, worker.name):
        _tell(connection, "worker_resumed", worker.name, "")
    return read_worker(connection, worker.id)


def quarantine_if_failing(connection: Connection, worker_id: str, message: str) -> None:
    """Keeps a worker away whose newest attempts all failed by its machine's fault."""
    name, newest = newest_outcomes(connection, worker_id)
    if not is_failing(newest):
        return
    now = database_now(connection)
    note = f"{len(newest)} attempts in a row failed by the machine's fault, the last: {message}"
    hold(
        connection,
        name,
        WorkerHold(kind="quarantined", note=note[:1_000], held_at=now, until=now + QUARANTINE),
    )
    _tell(connection, "worker_quarantined", name, note[:1_000])


def _tell(connection: Connection, kind: str, name: str, note: str) -> None:
    events.append(connection, kind, data={"name": name, "note": note})
