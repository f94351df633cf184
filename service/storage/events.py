"""The append-only record of what happened, numbered in the order of the commits."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from search_spaces.values import Value
from service.storage.clock import now_within
from service.storage.tables import events

LARGEST_EVENT_ID = 2**63 - 1
_WAITING = "archfront_events"
_LOCK = 7_203_114_946_120_277_002  # any number, as long as nobody else takes it


class Event(Value):
    """One thing that happened; `id` rises."""

    id: int
    kind: str
    at: datetime
    experiment_id: str | None = None
    trial_number: int | None = None
    data: dict[str, Any] = {}


def append(
    connection: Connection,
    kind: str,
    experiment_id: str | None = None,
    trial_number: int | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Adds an event to the caller's transaction, which dates and writes it last.

    Not within a savepoint that may still be rolled back; an event of an experiment only under
    that experiment's lock, which `record_change` takes.
    """
    event = {
        "kind": kind,
        "experiment_id": experiment_id,
        "trial_number": trial_number,
        "data": data or {},
    }
    connection.info.setdefault(_WAITING, []).append(event)


def is_waiting(connection: Connection, experiment_id: str) -> bool:
    """Whether an event of the experiment has been added to this transaction."""
    waiting = connection.info.get(_WAITING, ())
    return any(event["experiment_id"] == experiment_id for event in reversed(waiting))


def forget_waiting(connection: Connection) -> None:
    """Drops what a transaction that was rolled back has left."""
    connection.info.pop(_WAITING, None)


def write_waiting(connection: Connection) -> None:
    """Writes the transaction's events; the commit has to follow at once.

    Numbers are given out one transaction at a time, so that they rise in the order of the
    commits, and a reader that goes on from the last number it saw never misses a lower one
    that was committed later. The lock for it is every transaction's last, and so no cause
    of a deadlock.
    """
    waiting = connection.info.pop(_WAITING, None)
    if not waiting:
        return
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    connection.execute(insert(events).values(at=now_within(connection)), waiting)


def events_after(
    connection: Connection, event_id: int, experiment_id: str | None = None, limit: int = 100
) -> list[Event]:
    """Up to `limit` events with a larger id, in rising order."""
    query = (
        select(events)
        .where(events.c.id > max(-1, min(event_id, LARGEST_EVENT_ID)))
        .order_by(events.c.id)
        .limit(limit)
    )
    if experiment_id is not None:
        query = query.where(events.c.experiment_id == experiment_id)
    return [
        Event.model_validate({name: getattr(row, name) for name in Event.model_fields})
        for row in connection.execute(query)
    ]


def newest_event_id(connection: Connection) -> int:
    """The largest id so far; 0 without any."""
    return connection.scalar(select(func.coalesce(func.max(events.c.id), 0))) or 0
