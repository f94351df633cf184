"""One experiment, and the list of them."""

from sqlalchemy import Connection
from service.domain.experiment import ExperimentStatus
from service.schemas.experiments import ExperimentSummary, ExperimentView
from service.schemas.pages import Page


def read_experiment(connection: Connection, id_or_name: str) -> ExperimentView:
    """Raises: ExperimentNotFound."""
    raise NotImplementedError


def list_experiments(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    status: ExperimentStatus | None = None,
    include_archived: bool = False,
) -> Page[ExperimentSummary]:
    """Newest first. Raises: InvalidRequest for a cursor that is not one."""
    raise NotImplementedError
