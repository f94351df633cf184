import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from service.domain.errors import ArchfrontError, ExperimentNotFound, InvalidRequest, Unavailable
from service.domain.lease import LeaseTimes
from service.storage.clock import database_now
from service.storage.columns import storable_text
from service.storage.database import Database
from service.storage.events import Event, append, events_after, newest_event_id
from service.storage.experiments import find_experiment
from service.storage.tables import devices
from service.use_cases.lease_trial import lease_trial
from service.use_cases.read_events import events_after as events_of_experiment
from service.use_cases.reap_leases import reap_leases
from tests.service.toy_experiments import created, registered, topped_up, worker_spec

MOMENT = datetime(2026, 5, 4, 3, 2, 1, 123456, UTC)


def added(database: Database, name: str, moment: datetime = MOMENT) -> None:
    with database.write() as connection:
        connection.execute(insert(devices).values(name=name, first_seen_at=moment))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(devices.c.name)))


def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    added(database, "one")

    def fail(connection: Connection) -> None:
        connection.execute(insert(devices).values(name="two", first_seen_at=MOMENT))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.write() as connection:
        fail(connection)
    assert names(database) == ["one"]
    with pytest.raises(IntegrityError):
        added(database, "one")


def test_a_moment_comes_back_to_the_microsecond(database: Database) -> None:
    added(database, "one")
    with database.read() as connection:
        assert connection.scalar(select(devices.c.first_seen_at)) == MOMENT


def test_a_naive_moment_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="has no time zone"):
        added(database, "one", datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_read_transaction_cannot_write(database: Database) -> None:
    with pytest.raises((DBAPIError, Unavailable)), database.read() as connection:
        connection.execute(insert(devices).values(name="one", first_seen_at=MOMENT))
    added(database, "two")
    assert names(database) == ["two"]


def test_a_read_transaction_sees_one_state(database: Database) -> None:
    with database.read() as connection:
        assert list(connection.scalars(select(devices.c.name))) == []
        added(database, "meanwhile")
        assert list(connection.scalars(select(devices.c.name))) == []
    assert names(database) == ["meanwhile"]


def test_sqlite_commits_are_durable_and_foreign_keys_hold(fresh_databases) -> None:
    database = Database(fresh_databases.sqlite_url())
    with database.write() as connection:
        pragmas = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.dispose()
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_an_in_memory_database_is_refused() -> None:
    for url in ("sqlite://", "sqlite:///:memory:"):
        with pytest.raises(ValueError, match="sqlite:///path"):
            Database(url)


def test_the_databases_clock_is_right_and_goes_on_within_a_transaction(
    database: Database,
) -> None:
    with database.write() as connection:
        first = database_now(connection)
        time.sleep(0.05)
        second = database_now(connection)
    assert first.tzinfo is UTC
    assert abs(first - datetime.now(UTC)) < timedelta(seconds=30)
    assert timedelta(seconds=0.04) < second - first < timedelta(seconds=30)


def test_a_lease_expires_by_the_databases_own_clock(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    worker = registered(database)
    with database.write() as connection:
        assert lease_trial(connection, worker, LeaseTimes(ttl_s=1.0)) is not None
        assert reap_leases(connection) == 0
    time.sleep(1.1)
    with database.write() as connection:
        assert reap_leases(connection) == 1


def test_an_identifier_that_the_database_cannot_hold_is_the_callers_fault(
    database: Database,
) -> None:
    with pytest.raises(ArchfrontError) as caught, database.read() as connection:
        find_experiment(connection, "a\x00b")
    assert isinstance(caught.value, ExperimentNotFound | InvalidRequest)


def test_events_come_in_order_after_the_last_seen(database: Database) -> None:
    one, two = (created(database, worker_spec(name=name)) for name in ("one", "two"))
    topped_up(database, one, 1)
    with database.read() as connection:
        everything = events_after(connection, 0)
        assert [event.kind for event in everything] == [
            "experiment_created",
            "experiment_created",
            "trial_candidate",
        ]
        assert [event.id for event in everything] == sorted(event.id for event in everything)
        assert newest_event_id(connection) == everything[-1].id
        assert events_after(connection, everything[0].id, limit=1) == everything[1:2]
        assert [e.id for e in events_of_experiment(connection, 0, experiment_id="two")] == [
            everything[1].id
        ]
        assert everything[1].experiment_id == two
        assert events_after(connection, -(10**30)) == everything
        assert events_after(connection, 10**30) == []
        with pytest.raises(ExperimentNotFound):
            events_of_experiment(connection, 0, experiment_id="nobody")


def test_events_of_a_transaction_that_failed_are_gone(database: Database) -> None:
    def fail(connection: Connection) -> None:
        append(connection, "never")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.write() as connection:
        fail(connection)
    with database.write() as connection:
        append(connection, "once", data={"n": 1.0})
    with database.read() as connection:
        (event,) = events_after(connection, 0)
    assert isinstance(event, Event)
    assert (event.kind, repr(event.data)) == ("once", "{'n': 1.0}")


def test_text_stays_as_it_is_unless_no_database_could_hold_it() -> None:
    assert storable_text("wörld 🎉\n") == "wörld 🎉\n"
    assert storable_text("a\x00\ud800b") == "a\ufffd\ufffdb"


@pytest.mark.alone
def test_another_process_gets_its_turn_soon_after_a_long_write(tmp_path: Path) -> None:
    """SQLite's own wait for a lock would look again only every 0.1 s by then."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    one, other = Database(url), Database(url)  # each its own queue, as in two processes
    one.upgrade()
    late_s: list[float] = []
    for _ in range(5):
        released: list[float] = []
        held = threading.Event()

        def hold(held: threading.Event = held, released: list[float] = released) -> None:
            with one.write():
                held.set()
                time.sleep(0.3)
                released.append(time.perf_counter())

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(5)
        with other.write():
            late_s.append(time.perf_counter() - released[0])
        thread.join(5)
    assert min(late_s) < 0.03
    one.dispose()
    other.dispose()


def test_a_checkpoint_empties_the_log_beside_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "checked.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    created(database, worker_spec())
    log = path.with_name("checked.db-wal")
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
        database.checkpoint()
    written = log.stat().st_size
    for number in range(3):
        created(database, worker_spec(name=f"again-{number}"))
    assert log.stat().st_size == written  # it began anew at the front
    database.dispose()


def test_one_after_another_uses_the_connection_that_is_warm(database: Database) -> None:
    def driver(connection: Connection) -> object:
        return connection.connection.driver_connection

    with database.read() as one, database.read() as other:
        assert driver(one) is not driver(other)
    used = []
    for _ in range(4):
        with database.read() as connection:
            used.append(driver(connection))
    assert all(each is used[0] for each in used)


@pytest.mark.parametrize("trusted_s", [0.0, 3600.0])
def test_a_connection_that_died_in_the_pool_costs_one_request_at_most(
    fresh_databases, monkeypatch: pytest.MonkeyPatch, trusted_s: float
) -> None:
    monkeypatch.setattr("service.storage.database._TRUSTED_S", trusted_s)
    url = fresh_databases.postgresql_url()
    database, other = Database(url), Database(url)
    assert names(database) == []
    with other.write() as connection:
        ended = connection.scalars(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        assert any(ended)
    if trusted_s:  # used a moment ago: it is taken to live
        with pytest.raises(Unavailable):
            names(database)
    assert names(database) == []
    for each in (database, other):
        each.dispose()
