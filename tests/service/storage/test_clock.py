from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select

from service.storage.clock import database_now, now_within
from service.storage.database import Database
from service.storage.tables import devices
from tests.conftest import FakeClock


def test_a_statement_takes_the_same_time_as_a_question(database: Database) -> None:
    with database.write() as connection:
        before = database_now(connection)
        connection.execute(insert(devices).values(name="one", first_seen_at=now_within(connection)))
        seen = connection.scalar(select(devices.c.first_seen_at))
        assert before <= seen <= database_now(connection)
        earlier = connection.scalar(select(now_within(connection, ago_s=60.0)))
        assert (
            timedelta(0) <= datetime.now(UTC) - timedelta(seconds=60) - earlier < timedelta(0, 30)
        )


def test_a_statement_takes_the_time_of_the_tests_clock(
    clocked_database: Database, clock: FakeClock
) -> None:
    clock.advance(0.25)
    with clocked_database.write() as connection:
        assert connection.scalar(select(now_within(connection))) == clock.now
        earlier = connection.scalar(select(now_within(connection, ago_s=2.5)))
        assert clock.now - earlier == timedelta(seconds=2.5)
        rows = select(devices.c.name).where(devices.c.first_seen_at < now_within(connection))
        connection.execute(insert(devices).values(name="one", first_seen_at=now_within(connection)))
        assert connection.scalar(rows) is None
        clock.advance(0.001)
        rows = select(devices.c.name).where(devices.c.first_seen_at < now_within(connection))
        assert connection.scalar(rows) == "one"
