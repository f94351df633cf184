import pytest
from sqlalchemy import select

from service.domain.errors import InvalidRequest, TokenNotFound, Unauthenticated
from service.schemas.tokens import TokenCreated, TokenRequest
from service.storage.database import Database
from service.storage.tables import metadata
from service.use_cases.tokens import (
    Principal,
    authenticate,
    create_token,
    list_tokens,
    note_token_use,
    revoke_token,
)
from tests.conftest import FakeClock
from tests.service.sent_statements import sent_statements


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


def issued(database: Database, **changes) -> TokenCreated:
    request = TokenRequest.model_validate({"name": "laptop", "scopes": ["read"]} | changes)
    with database.write() as connection:
        return create_token(connection, request)


def who(database: Database, secret: str) -> Principal:
    with database.read() as connection:
        return authenticate(connection, secret)


def test_a_secret_tells_who_asks(database: Database) -> None:
    one = issued(database, scopes=["work", "read", "work"])
    two = issued(database, name="phone")
    assert one.scopes == ("work", "read")
    principal = who(database, one.secret)
    assert (principal.token_id, principal.name) == (one.id, "laptop")
    assert principal.scopes == {"work", "read"}
    assert who(database, two.secret).token_id == two.id
    prefix, token_id, random = one.secret.split("_", 2)
    assert (prefix, token_id, len(random)) == ("archfront", one.id, 43)


def test_the_secret_is_nowhere_in_the_database(database: Database) -> None:
    token = issued(database)
    random = token.secret.split("_", 2)[2]
    with database.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                assert random not in repr(row)
        assert random not in repr(list_tokens(connection))


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: "",
        lambda token: "archfront",
        lambda token: token.secret[:-1],
        lambda token: token.secret + "x",
        lambda token: token.secret.swapcase(),
        lambda token: f"archfront_{token.id}_",
        lambda token: f"archfront__{token.secret.split('_', 2)[2]}",
        lambda token: f"archfront_{'0' * 16}_{token.secret.split('_', 2)[2]}",
        lambda token: token.secret.replace("archfront", "other"),
        lambda token: f"archfront_{token.id}_\ud800",
        lambda token: "archfront_' OR 1=1 --_x",
    ],
)
def test_a_forged_secret_is_refused(database: Database, forge) -> None:
    token = issued(database)
    with pytest.raises(Unauthenticated, match="unknown, revoked or expired"):
        who(database, forge(token))


def test_a_revoked_token_is_worth_nothing(database: Database, clock: FakeClock) -> None:
    token = issued(database)
    for _ in range(2):
        with database.write() as connection:
            revoked = revoke_token(connection, token.id)
        clock.advance(5)
    assert revoked.revoked_at is not None
    assert (clock.now - revoked.revoked_at).total_seconds() == 10
    with pytest.raises(Unauthenticated):
        who(database, token.secret)
    with pytest.raises(TokenNotFound, match="'nobody'"), database.write() as connection:
        revoke_token(connection, "nobody")


def test_one_look_tells_who_asks(database_url: str) -> None:
    database = Database(database_url)
    token = issued(database)
    with sent_statements() as sent:
        who(database, token.secret)
    assert sum(statement.startswith("SELECT") for statement, _ in sent) == 1
    database.dispose()


def test_a_token_expires_to_the_second(database: Database, clock: FakeClock) -> None:
    token = issued(database, expires_in_s=60)
    clock.advance(59.999)
    who(database, token.secret)
    clock.advance(0.001)
    with pytest.raises(Unauthenticated):
        who(database, token.secret)
    with pytest.raises(InvalidRequest, match="hundred years"):
        issued(database, expires_in_s=1e300)


def test_the_last_use_is_remembered(database: Database, clock: FakeClock) -> None:
    token = issued(database)
    assert who(database, token.secret).last_used_at is None
    with database.write() as connection:
        note_token_use(connection, token.id)
    assert who(database, token.secret).last_used_at == clock.now
