"""One trial in full, and its logs."""

from sqlalchemy import Connection
from service.schemas.trials import TrialDetail


def read_trial(connection: Connection, experiment_id: str, number: int) -> TrialDetail:
    """Raises: ExperimentNotFound, TrialNotFound."""
    raise NotImplementedError


def read_log(
    connection: Connection,
    experiment_id: str,
    number: int,
    *,
    stage: str | None = None,
    lease_id: str | None = None,
    offset: int = 0,
) -> str:
    """The log of one attempt from character `offset` on: of the lease, else of the newest attempt at the stage, else of the newest attempt."""
    raise NotImplementedError
