"""The trials of an experiment: page by page, filtered and sorted, or all."""

from collections.abc import Sequence
from sqlalchemy import Connection
from service.domain.objective import OutcomeConstraint
from service.domain.trial import Trial, TrialStatus
from service.schemas.pages import Page


def list_trials(
    connection: Connection,
    experiment_id: str,
    *,
    limit: int,
    cursor: str | None = None,
    status: Sequence[TrialStatus] | None = None,
    source: str | None = None,
    sort: str = "number",
    where: Sequence[OutcomeConstraint | str] = (),
) -> Page[Trial]:
    """sort: number, created_at, ended_at or a metric, a leading - for descending."""
    raise NotImplementedError


def all_trials(connection: Connection, experiment_id: str) -> list[Trial]:
    """In the order of their numbers."""
    raise NotImplementedError
