"""The database's own time: the only clock by which leases expire."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, Double, cast, func, literal, select, type_coerce

from service.domain.errors import Unavailable
from service.storage.columns import Moment

CLOCK_OPTION = "archfront_clock"
"""The execution option under which tests give another clock."""

Clock = Callable[[], datetime]

# Not now(): that is the start of the transaction, maybe before a wait for a lock.
_POSTGRESQL_S = cast(func.extract("epoch", func.clock_timestamp()), Double)
_POSTGRESQL_NOW = select(type_coerce(_POSTGRESQL_S, Moment))


def database_now(connection: Connection) -> datetime:
    """Now, in UTC, whatever the clocks of servers and workers say."""
    here = _clock_here(connection)
    if here is not None:
        return here()
    now = connection.scalar(_POSTGRESQL_NOW)
    if now is None:
        raise Unavailable("The database gave no time.")
    return now


def now_within(connection: Connection, *, ago_s: float = 0.0) -> ColumnElement[datetime]:
    """The same, or so many seconds earlier, for use within a statement: not a question by itself.

    PostgreSQL looks at its clock when it comes to the row, before any wait for the row's lock.
    """
    here = _clock_here(connection)
    if here is not None:
        return literal(here() - timedelta(seconds=ago_s), Moment)
    return type_coerce(_POSTGRESQL_S - ago_s, Moment)


def _clock_here(connection: Connection) -> Clock | None:
    given: Clock | None = connection.get_execution_options().get(CLOCK_OPTION)
    if given is None and connection.dialect.name == "sqlite":
        # SQLite has no clock but that of the host it runs on, in this very process.
        return partial(datetime.now, UTC)
    return given
