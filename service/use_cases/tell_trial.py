"""Takes the outcome of a trial evaluated elsewhere."""

from sqlalchemy import Connection
from service.domain.trial import Trial
from service.schemas.trials import TellRequest


def tell_trial(connection: Connection, experiment_id: str, request: TellRequest) -> Trial:
    """Raises: LeaseLost, UnknownMetric, MeasurementMissing, TrialNotFound, TransitionRefused (run by workers)."""
    raise NotImplementedError
