"""The record of what happened, as the wire has it."""

from sqlalchemy import Connection

from service.schemas.events import EventView
from service.storage import events
from service.storage.experiments import find_experiment


def events_after(
    connection: Connection,
    event_id: int,
    *,
    experiment_id: str | None = None,
    limit: int = 100,
) -> list[EventView]:
    """Up to `limit` events with a larger id, in rising order; none is ever skipped.

    experiment_id: of this experiment (id or name) only. Raises: ExperimentNotFound.
    """
    if experiment_id is not None:
        experiment_id = find_experiment(connection, experiment_id).id
    found = events.events_after(connection, event_id, experiment_id, limit)
    return [EventView.model_validate(event.model_dump()) for event in found]


def newest_event_id(connection: Connection) -> int:
    """The largest id so far; 0 without any."""
    return events.newest_event_id(connection)
