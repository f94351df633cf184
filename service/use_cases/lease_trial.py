"""Gives a worker the next stage it can work off."""

from sqlalchemy import Connection
from service.domain.lease import LeaseTimes
from service.schemas.leases import LeaseGrant


def lease_trial(connection: Connection, worker_id: str, times: LeaseTimes) -> LeaseGrant | None:
    """None: nothing to do now. Raises: WorkerNotFound (register again)."""
    raise NotImplementedError
