"""Adds an arm chosen by hand, with its results or to be run."""

from sqlalchemy import Connection
from service.domain.trial import Trial
from service.schemas.trials import AttachRequest


def attach_trial(connection: Connection, experiment_id: str, request: AttachRequest) -> Trial:
    """Consumes budget. Raises: BudgetExhausted, ArmOutsideSearchSpace, UnknownMetric, MeasurementMissing, TransitionRefused."""
    raise NotImplementedError
