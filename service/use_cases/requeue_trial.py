"""Gives a failed or cancelled trial another chance."""

from sqlalchemy import Connection
from service.domain.trial import Trial


def requeue_trial(connection: Connection, experiment_id: str, number: int) -> Trial:
    """Back to candidate; completed stages keep their results. Raises: TransitionRefused."""
    raise NotImplementedError
