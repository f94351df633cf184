"""One-use tokens: one worker, once, repeatable by the same session alone."""

import threading

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from service.domain.errors import InvalidRequest, TokenSpent, Unauthenticated
from service.schemas.tokens import ONE_USE_PREFIX, TokenRequest
from service.schemas.workers import WorkerEnrolled, WorkerEnrollment
from service.storage.database import Database
from service.storage.events import events_after
from service.use_cases.enroll_worker import enroll_worker
from service.use_cases.tokens import authenticate, create_token, list_tokens, revoke_token
from tests.conftest import FakeClock

SESSION, OTHER_SESSION = "a" * 43, "b" * 43


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


def one_use(database: Database, name: str = "gpu-7", expires_in_s: float = 3_600.0) -> str:
    request = TokenRequest(name=name, scopes=("enroll",), expires_in_s=expires_in_s)
    with database.write() as connection:
        return create_token(connection, request).secret


def enrolled(
    database: Database, secret: str, session: str = SESSION, worker: str = "gpu-7"
) -> WorkerEnrolled:
    """As the API does it."""
    with database.read() as connection:
        principal = authenticate(connection, secret)
    assert principal.scopes == {"enroll"}
    with database.write() as connection:
        request = WorkerEnrollment(worker=worker, session=session, host="rack-3")
        return enroll_worker(connection, principal.token_id, secret, request)


def owner(database: Database, secret: str) -> tuple[str | None, frozenset[str]]:
    with database.read() as connection:
        principal = authenticate(connection, secret)
    return principal.worker, principal.scopes


def test_the_token_is_traded_for_the_workers_own(database: Database) -> None:
    secret = one_use(database)
    assert secret.startswith(ONE_USE_PREFIX)
    own = enrolled(database, secret)
    assert not own.token.startswith(ONE_USE_PREFIX)
    assert owner(database, own.token) == ("gpu-7", {"work"})
    with database.read() as connection:
        told = [(event.kind, event.data.get("name")) for event in events_after(connection, 0)]
    assert told == [("token_created", "gpu-7"), ("worker_enrolled", "gpu-7")]


def test_only_the_same_session_gets_the_answer_again(database: Database, clock: FakeClock) -> None:
    secret = one_use(database)
    own = enrolled(database, secret)
    clock.advance(3_599)
    assert enrolled(database, secret) == own
    with pytest.raises(TokenSpent, match=r"used at 2026-01-01 00:00:00 UTC by gpu-7 on rack-3\."):
        enrolled(database, secret, OTHER_SESSION)
    assert owner(database, own.token) == ("gpu-7", {"work"})
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        enrolled(database, secret)
    assert owner(database, own.token) == ("gpu-7", {"work"})  # its own has no end


def test_no_secret_is_stored(database: Database) -> None:
    secret = one_use(database)
    own = enrolled(database, secret)
    with database.read() as connection:
        rows = [str(row) for row in connection.execute(text("SELECT * FROM tokens"))]
        rows += [str(row) for row in connection.execute(text("SELECT * FROM events"))]
    assert len(rows) == 4
    for hidden in (secret.split("_", 2)[2], own.token.split("_", 2)[2], SESSION):
        assert not any(hidden in row for row in rows)


def test_it_is_for_the_worker_that_it_names(database: Database) -> None:
    secret = one_use(database)
    with pytest.raises(InvalidRequest, match="for the worker 'gpu-7', not 'gpu-8'"):
        enrolled(database, secret, worker="gpu-8")
    enrolled(database, secret)  # and was not used up by that


def test_a_worker_that_begins_anew_has_one_token(database: Database) -> None:
    first_secret, second_secret = one_use(database), one_use(database)
    first = enrolled(database, first_secret)
    second = enrolled(database, second_secret, OTHER_SESSION)
    with pytest.raises(Unauthenticated):
        owner(database, first.token)
    assert enrolled(database, first_secret) == first  # a repetition takes nothing from the second
    assert owner(database, second.token) == ("gpu-7", {"work"})


def test_the_list_tells_who_used_it(database: Database) -> None:
    own = enrolled(database, one_use(database))
    with database.read() as connection:
        its, used = sorted(list_tokens(connection), key=lambda token: token.spent_at is not None)
    assert (used.spent_by, used.worker) == ("gpu-7 on rack-3", None)
    assert (its.id, its.worker, its.spent_at) == (own.token_id, "gpu-7", None)
    with database.write() as connection:
        revoke_token(connection, own.token_id)
    with pytest.raises(Unauthenticated):
        owner(database, own.token)


def test_of_many_at_once_one_wins(database: Database) -> None:
    secret = one_use(database)
    answers: list[object] = []

    def try_it(session: str) -> None:
        try:
            answers.append(enrolled(database, secret, session))
        except TokenSpent as error:
            answers.append(error)

    threads = [threading.Thread(target=try_it, args=(session * 40,)) for session in "aabbccdd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [answer for answer in answers if isinstance(answer, WorkerEnrolled)]
    assert len(answers) == 8
    assert len(won) == 2  # the two of one session
    assert won[0] == won[1]


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": ("enroll", "work")}, {"scopes": ("enroll",), "name": "no name of a worker"}],
    ids=["scopes", "name"],
)
def test_what_no_one_use_token_can_be(wrong: dict) -> None:
    with pytest.raises(ValidationError, match=r"stands alone|no worker's name"):
        TokenRequest.model_validate({"name": "gpu-7", "scopes": ("enroll",)} | wrong)
