"""A sign of life: renews the lease, keeps curve and log, carries commands back."""

from sqlalchemy import Connection
from service.domain.lease import LeaseTimes
from service.schemas.leases import Heartbeat, HeartbeatReply


def renew_lease(
    connection: Connection, lease_id: str, heartbeat: Heartbeat, times: LeaseTimes
) -> HeartbeatReply:
    """Raises: LeaseNotFound, LeaseLost, InvalidRequest (log gap or conflict)."""
    raise NotImplementedError
