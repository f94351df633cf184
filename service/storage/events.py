"""The append-only record of what happened."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Text,
    cast,
    func,
    insert,
    literal,
    select,
)

from search_spaces.values import Value
from service.storage.database import database_now
from service.storage.tables import events

LARGEST_EVENT_ID = 2**63 - 1


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
    """Adds an event to the caller's transaction."""
    connection.execute(
        insert(events).values(
            kind=kind,
            at=database_now(connection),
            transaction_id=_own_transaction(connection),
            experiment_id=experiment_id,
            trial_number=trial_number,
            data=data or {},
        )
    )


def events_after(
    connection: Connection, event_id: int, experiment_id: str | None = None, limit: int = 100
) -> list[Event]:
    """Up to `limit` committed events with a larger id, in rising order.

    PostgreSQL gives out ids before the commit, so that a lower id could appear later; events
    of transactions at or after the oldest one still open are therefore held back.
    """
    query = (
        select(events)
        .where(events.c.id > max(-1, min(event_id, LARGEST_EVENT_ID)))
        .order_by(events.c.id)
        .limit(limit)
    )
    if experiment_id is not None:
        query = query.where(events.c.experiment_id == experiment_id)
    if connection.dialect.name == "postgresql":
        oldest_open = func.pg_snapshot_xmin(func.pg_current_snapshot())
        query = query.where(events.c.transaction_id < _as_number(oldest_open))
    return [
        Event(
            id=row.id,
            kind=row.kind,
            at=row.at,
            experiment_id=row.experiment_id,
            trial_number=row.trial_number,
            data=row.data,
        )
        for row in connection.execute(query)
    ]


def newest_event_id(connection: Connection) -> int:
    """The largest id so far; 0 without any."""
    return connection.scalar(select(func.coalesce(func.max(events.c.id), 0))) or 0


def _own_transaction(connection: Connection) -> ColumnElement[int]:
    if connection.dialect.name == "postgresql":
        return _as_number(func.pg_current_xact_id())
    return literal(0)  # SQLite: one writer, ids are committed in their order


def _as_number(transaction: ColumnElement[Any]) -> ColumnElement[int]:
    # xid8 has no cast to a number of its own
    return cast(cast(transaction, Text), BigInteger)
