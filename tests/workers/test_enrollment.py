"""How a worker comes to a token of its own, whatever befalls it on the way."""

import itertools
import stat

import pytest

from service.client import Client
from service.domain.errors import TokenSpent, Unavailable
from service.exchange import ServerUnreachable
from service.schemas.workers import WorkerEnrolled
from workers.enrollment import own_token
from workers.name_lock import NameLock

ONCE = "archfront_once0123456789abcdef_" + "x" * 43


class Enrolling:
    """Stands for the server's part. errors: raised one after the other before it answers."""

    def __init__(self, monkeypatch):
        self.sessions = []
        self.errors = []
        monkeypatch.setattr(Client, "enroll_worker", lambda _, *given: self.answer(*given))

    def answer(self, worker, session, host):
        self.sessions.append(session)
        if self.errors:
            raise self.errors.pop(0)
        return WorkerEnrolled(worker=worker, token_id="1", token=f"own-of-{session}")


@pytest.fixture
def enrolling(monkeypatch):
    monkeypatch.delenv("ARCHFRONT_TOKEN", raising=False)
    return Enrolling(monkeypatch)


@pytest.fixture
def name(tmp_path):
    lock = NameLock(tmp_path, "gpu-7")
    yield lock
    lock.close()


def asked(name, given=ONCE):
    return own_token("http://127.0.0.1:9", given, name, lambda: itertools.repeat(0.0))


def test_any_other_token_is_taken_as_it_is(enrolling, name, monkeypatch):
    assert asked(name, "archfront_ab12_secret") == "archfront_ab12_secret"
    assert asked(name, None) is None
    assert enrolling.sessions == []


def test_it_enrolls_once_and_keeps_its_own_token_from_others(enrolling, name, monkeypatch):
    monkeypatch.setenv("ARCHFRONT_TOKEN", ONCE)
    own = asked(name, None)
    assert asked(name, None) == own == f"own-of-{enrolling.sessions[0]}"
    assert len(enrolling.sessions) == 1
    kept = name.folder / "enrollment.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert ONCE not in kept.read_text()


def test_a_lost_answer_is_asked_for_again_in_the_same_session(enrolling, name):
    enrolling.errors = [ServerUnreachable(), Unavailable(), KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):  # as good as killed before the answer came
        asked(name)
    own = asked(name)
    assert len(enrolling.sessions) == 4
    assert set(enrolling.sessions) == {own.removeprefix("own-of-")}


def test_another_one_use_token_begins_anew(enrolling, name):
    first = asked(name)
    second = asked(name, ONCE.replace("xxx", "yyy"))
    assert first != second
    assert asked(name, ONCE.replace("xxx", "yyy")) == second


def test_a_spent_token_ends_the_worker(enrolling, name):
    enrolling.errors = [TokenSpent("used at noon by gpu-7 on rack-3.")]
    with pytest.raises(TokenSpent, match="used at noon"):
        asked(name)
