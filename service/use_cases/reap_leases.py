"""Ends leases that nobody renewed."""

from sqlalchemy import Connection
from service.domain.lease import LeaseTimes


def reap_leases(connection: Connection) -> int:
    """How many had expired."""
    raise NotImplementedError


def extend_live_leases(connection: Connection, times: LeaseTimes) -> int:
    """At a server start: every open lease lives at least one TTL from now, so that workers need not pay for the outage."""
    raise NotImplementedError
