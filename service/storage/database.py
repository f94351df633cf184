"""The database: SQLite or PostgreSQL by URL, one transaction at a time, and its clock."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DataError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from service.domain.errors import InvalidRequest, Unavailable
from service.storage.clock import CLOCK_OPTION, Clock
from service.storage.events import forget_waiting, write_waiting
from service.storage.fair_lock import FairLock
from service.storage.migrate import upgrade_to_head

_BUSY_TIMEOUT_S = 30
_LOOK_AGAIN_S = 0.002
_CHECKPOINT_PAGES = 20_000
_WRITES = "archfront_writes"

_ONE_STATE_READ_ONLY = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Of a transaction on PostgreSQL: said in its BEGIN, which costs no statement of its own."""

_TRUSTED_S = 2.0
"""A connection to PostgreSQL that was used more recently is not asked whether it still lives."""

_USED_AT = "archfront_used_at"

_LAST_FIRST = True
"""The connection used last is used next: a few stay warm, with pages, plans and statements, rather
than each of ten going cold in turn."""


class Database:
    """Transactions on one database.

    A commit is durable when `write` is left: SQLite runs in WAL with `synchronous=FULL`,
    PostgreSQL with its default `synchronous_commit=on`.
    url: `sqlite:///path/to/file`, or `postgresql://user@host/name`.
    clock: gives the time instead of the database; for tests.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database in (None, "", ":memory:"):
            raise ValueError(
                "an in-memory database loses what it acknowledged; write sqlite:///path/to/file"
            )
        self._engine = _sqlite_engine(parsed) if self.is_sqlite else _postgresql_engine(parsed)
        options: dict[str, Any] = {CLOCK_OPTION: clock}
        reads: dict[str, Any] = {_WRITES: False} if self.is_sqlite else _ONE_STATE_READ_ONLY
        self._reader = self._engine.execution_options(**options, **reads)
        self._writer = self._engine.execution_options(**options, **{_WRITES: True})
        # SQLite has one writer; threads of one process queue here instead of polling its lock.
        self._turn = FairLock() if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection within one transaction that writes nothing and sees one state.

        Raises: Unavailable if the database cannot be reached.
        """
        with _unavailable_if_unreachable(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection within one transaction, committed on leaving, rolled back on an error.

        Raises: Unavailable if the database cannot be reached, or is locked for too long.
        """
        with (
            _unavailable_if_unreachable(),
            self._writers_turn(),
            self._writer.begin() as connection,
        ):
            forget_waiting(connection)
            yield connection
            write_waiting(connection)

    @contextmanager
    def _writers_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(_BUSY_TIMEOUT_S):
            raise Unavailable("The database is busy with another write.", remedy="Try again.")
        try:
            yield
        finally:
            self._turn.release()

    def upgrade(self) -> None:
        """Brings the tables to this release; safe beside other processes that do the same.

        Raises: DatabaseNewerThanCode.
        """
        with self.write() as connection:
            upgrade_to_head(connection)

    def checkpoint(self) -> None:
        """Moves what SQLite's log holds into the database file; keeps no reader or writer waiting.

        Without it a commit does so now and then, and takes ten times as long. PostgreSQL sees to
        it by itself.
        """
        if self.is_sqlite:
            with _unavailable_if_unreachable(), self._engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").close()

    def dispose(self) -> None:
        """Closes every pooled connection."""
        self._engine.dispose()


@contextmanager
def _unavailable_if_unreachable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        # A deadlock or a lost connection too: nothing was committed, the same request may pass.
        raise Unavailable("The database cannot be reached, or is locked.") from error
    except DataError as error:
        # PostgreSQL's word for what no check caught: NUL in an id, a number out of range.
        raise InvalidRequest("A value is beyond what the database can hold.") from error


def _sqlite_engine(url: Any) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": _BUSY_TIMEOUT_S},
        pool_size=10,
        max_overflow=30,
        pool_timeout=_BUSY_TIMEOUT_S,
        pool_use_lifo=_LAST_FIRST,
    )

    @event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _: Any) -> None:
        # SQLAlchemy begins the transactions (below), not the driver, which begins them too late.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"wal_autocheckpoint={_CHECKPOINT_PAGES}",  # see `checkpoint`
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, True)
        connection.exec_driver_sql(f"PRAGMA query_only = {0 if writes else 1}")
        if writes:
            _begin_to_write(connection.connection.driver_connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _begin_to_write(driver: Any) -> None:
    """BEGIN IMMEDIATE: a reader that turns writer fails at once in WAL, without any waiting.

    While another process writes, SQLite would look again after ever longer pauses, up to 0.1 s,
    and whoever has waited longest would be the least likely to get its turn.
    """
    end = time.monotonic() + _BUSY_TIMEOUT_S
    driver.execute("PRAGMA busy_timeout = 0").close()
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE").close()
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() >= end:
                    raise Unavailable("The database cannot be reached, or is locked.") from error
                time.sleep(_LOOK_AGAIN_S)
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {1000 * _BUSY_TIMEOUT_S}").close()


def _postgresql_engine(url: Any) -> Engine:
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=20,
        pool_timeout=_BUSY_TIMEOUT_S,
        pool_use_lifo=_LAST_FIRST,
        connect_args={
            "connect_timeout": 10,
            # Bounded waits: a stuck lock or a client gone silent must not stop the others.
            "options": "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s",
        },
    )

    # What `pool_pre_ping` does, without asking twice in every request of a busy server.
    @event.listens_for(engine, "checkin")
    def _note_use(_: Any, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(dbapi_connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None or time.monotonic() - used_at < _TRUSTED_S:
            return
        try:
            engine.dialect.do_ping(dbapi_connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    return engine
