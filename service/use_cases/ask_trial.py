"""Hands the next candidate to a loop that evaluates it elsewhere."""

from sqlalchemy import Connection
from service.schemas.trials import AskReply, AskRequest


def ask_trial(
    connection: Connection, experiment_id: str, request: AskRequest, token_id: str | None
) -> AskReply:
    """Raises: NoCandidateReady (ask again), BudgetExhausted (all given out), TransitionRefused (not running, or run by workers)."""
    raise NotImplementedError
