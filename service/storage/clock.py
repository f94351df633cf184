"""The database's own time: the only clock by which leases expire."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from service.domain.errors import Unavailable

CLOCK_OPTION = "archfront_clock"
"""The execution option under which tests give another clock."""

Clock = Callable[[], datetime]

_POSTGRESQL_NOW = select(func.extract("epoch", func.clock_timestamp()))


def database_now(connection: Connection) -> datetime:
    """Now, in UTC, whatever the clocks of servers and workers say."""
    clock: Clock | None = connection.get_execution_options().get(CLOCK_OPTION)
    if clock is not None:
        return clock()
    if connection.dialect.name == "sqlite":
        # SQLite has no clock but that of the host it runs on, in this very process.
        return datetime.now(UTC)
    # Not now(): that is the start of the transaction, maybe before a wait for a lock.
    seconds = connection.scalar(_POSTGRESQL_NOW)
    if seconds is None:
        raise Unavailable("The database gave no time.")
    return datetime.fromtimestamp(float(seconds), UTC)
