"""The database's own time: the only clock by which leases expire."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select, text

from service.domain.errors import Unavailable

CLOCK_OPTION = "archfront_clock"
"""The execution option under which tests give another clock."""

Clock = Callable[[], datetime]


def database_now(connection: Connection) -> datetime:
    """Now, in UTC, whatever the clocks of servers and workers say."""
    clock: Clock | None = connection.get_execution_options().get(CLOCK_OPTION)
    if clock is not None:
        return clock()
    if connection.dialect.name == "sqlite":
        # Not unixepoch('subsec'): before SQLite 3.42 it is NULL, and leases never expire.
        seconds = connection.scalar(text("SELECT (julianday('now') - 2440587.5) * 86400.0"))
    else:
        # Not now(): that is the start of the transaction, maybe before a wait for a lock.
        seconds = connection.scalar(select(func.extract("epoch", func.clock_timestamp())))
    if seconds is None:
        raise Unavailable("The database gave no time.")
    return datetime.fromtimestamp(float(seconds), UTC)
