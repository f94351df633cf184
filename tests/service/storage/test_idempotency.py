import pytest
from sqlalchemy import Connection

from service.domain.errors import IdempotencyKeyReused, InvalidRequest
from service.storage.database import Database
from service.storage.idempotency import StoredReply, forget, keep, look_up
from tests.conftest import FakeClock


def looked_up(database: Database, key: str = "k", token: str | None = "t", request: str = "r"):
    with database.write() as connection:
        return look_up(connection, key, token, request)


def done(database: Database, key: str = "k", token: str | None = "t", request: str = "r"):
    with database.write() as connection:
        assert look_up(connection, key, token, request) is None
        keep(connection, key, token, request, 201, '{"a":1.0}')


def test_the_same_request_gets_the_same_reply(database: Database) -> None:
    done(database)
    for _ in range(2):
        assert looked_up(database) == StoredReply(201, '{"a":1.0}')


def test_another_request_under_the_key_is_refused(database: Database) -> None:
    done(database)
    with pytest.raises(IdempotencyKeyReused, match="'k'"):
        looked_up(database, request="other")


def test_a_key_is_its_tokens_own(database: Database) -> None:
    done(database)
    assert looked_up(database, token="other", request="x") is None
    done(database, token=None)
    assert looked_up(database, token=None) == StoredReply(201, '{"a":1.0}')


def test_a_deed_that_was_rolled_back_leaves_its_key_free(database: Database) -> None:
    def fail(connection: Connection) -> None:
        look_up(connection, "k", "t", "r")
        keep(connection, "k", "t", "r", 201, "{}")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.write() as connection:
        fail(connection)
    assert looked_up(database) is None


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "a\ud800"])
def test_a_key_that_is_none_is_refused(database: Database, key: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 200"):
        looked_up(database, key=key)


def test_old_keys_are_forgotten(clocked_database: Database, clock: FakeClock) -> None:
    done(clocked_database)
    clock.advance(100)
    done(clocked_database, key="newer")
    with clocked_database.write() as connection:
        assert forget(connection, older_than_s=50) == 1
    assert looked_up(clocked_database) is None
    assert looked_up(clocked_database, key="newer") is not None
