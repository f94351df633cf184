"""A person steers an experiment; each function takes id or name."""

from sqlalchemy import Connection
from service.schemas.experiments import ExperimentView


def pause(connection: Connection, id_or_name: str) -> ExperimentView:
    """Raises: ExperimentNotFound, TransitionRefused."""
    raise NotImplementedError


def resume(connection: Connection, id_or_name: str) -> ExperimentView:
    """Raises: ExperimentNotFound, TransitionRefused."""
    raise NotImplementedError


def stop(connection: Connection, id_or_name: str) -> ExperimentView:
    """Raises: ExperimentNotFound, TransitionRefused."""
    raise NotImplementedError


def archive(connection: Connection, id_or_name: str) -> ExperimentView:
    """Raises: ExperimentNotFound, TransitionRefused."""
    raise NotImplementedError


def unarchive(connection: Connection, id_or_name: str) -> ExperimentView:
    """Raises: ExperimentNotFound, TransitionRefused."""
    raise NotImplementedError


def raise_budget(connection: Connection, id_or_name: str, trials: int) -> ExperimentView:
    """The new total; a completed experiment runs on. Raises: InvalidRequest if it would fall, TransitionRefused if stopped."""
    raise NotImplementedError
