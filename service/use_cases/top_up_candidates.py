"""Keeps candidates ready ahead of demand, never beyond the budget."""

from collections.abc import Sequence
from sqlalchemy import Connection
from service.domain.trial import Trial
from service.optimizer.optimizer import SuggestRequest, Suggestion


def experiments_needing_candidates(connection: Connection) -> list[str]:
    """Ids of running experiments whose pool is short and whose budget is not spent."""
    raise NotImplementedError


def suggestion_request(connection: Connection, experiment_id: str) -> SuggestRequest | None:
    """None: pool full, not running, budget spent or space exhausted."""
    raise NotImplementedError


def add_candidates(
    connection: Connection, experiment_id: str, suggestions: Sequence[Suggestion]
) -> list[Trial]:
    """The new candidates: those within budget and pool; arms that a trial already has are left out."""
    raise NotImplementedError


def note_space_exhausted(connection: Connection, experiment_id: str) -> None:
    """No new arm is left (SearchSpaceExhausted): nothing more is asked for, and the experiment completes when its trials have ended."""
    raise NotImplementedError
