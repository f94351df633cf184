"""Records how an attempt ended, by the holder of the newest lease only."""

from sqlalchemy import Connection
from service.schemas.leases import CompleteRequest, FailRequest, InfeasibleRequest, ReportReply


def record_complete(connection: Connection, lease_id: str, request: CompleteRequest) -> ReportReply:
    """Raises: LeaseNotFound, LeaseLost, UnknownMetric, MeasurementMissing, ArtifactNotFound."""
    raise NotImplementedError


def record_failure(connection: Connection, lease_id: str, request: FailRequest) -> ReportReply:
    """Raises: LeaseNotFound, LeaseLost."""
    raise NotImplementedError


def record_infeasible(
    connection: Connection, lease_id: str, request: InfeasibleRequest
) -> ReportReply:
    """Raises: LeaseNotFound, LeaseLost, UnknownMetric."""
    raise NotImplementedError
