"""The record of what happened, as the wire has it."""

from sqlalchemy import Connection
from service.schemas.events import EventView


def events_after(
    connection: Connection, event_id: int, *, experiment_id: str | None = None, limit: int = 100
) -> list[EventView]:
    """In rising order; an event never appears below one already given out."""
    raise NotImplementedError


def newest_event_id(connection: Connection) -> int:
    """0 without any."""
    raise NotImplementedError
