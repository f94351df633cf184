"""Checkpoints: fenced by the lease, one per stage, given to the next attempt, gone at the end."""

import hashlib

import pytest

from service.domain.errors import LeaseLost, Unavailable
from service.domain.lease import LeaseTimes
from service.schemas.leases import CheckpointReference, FailRequest, Heartbeat
from service.storage.artifacts import ArtifactStore
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.keep_checkpoint import (
    announce_checkpoint,
    drop_checkpoints,
    keep_checkpoint,
)
from service.use_cases.read_trial import read_trial
from service.use_cases.reap_leases import reap_leases
from service.use_cases.record_report import record_failure
from service.use_cases.renew_lease import renew_lease
from service.use_cases.steer_experiment import stop
from service.use_cases.store_artifact import record_artifact
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    TIMES,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)


@pytest.fixture
def store(tmp_path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "artifacts"))


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


@pytest.fixture
def experiment(database: Database) -> str:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    return experiment_id


@pytest.fixture
def worker(database: Database, experiment: str) -> str:
    return registered(database)


def offered(content: bytes, step: int) -> CheckpointReference:
    sha256 = hashlib.sha256(content).hexdigest()
    return CheckpointReference(step=step, sha256=sha256, size_bytes=len(content))


def announced(database, grant, content, step):
    with database.write() as connection:
        return announce_checkpoint(connection, grant.lease_id, grant.epoch, offered(content, step))


def kept(database, store, grant, content, step=10):
    """As the API does it."""
    row = announced(database, grant, content, step)
    if row is None:
        return None
    store.put([content], row.sha256, 1_000)
    with database.write() as connection:
        return keep_checkpoint(connection, row, grant.epoch)


def files(store):
    return {content for name in store_names(store) for content in store.open(name)}


def store_names(store):
    return [path.rsplit("/", 1)[-1] for path in store._files.find(store._root)]


def lost(database, clock: FakeClock) -> None:
    clock.advance(LeaseTimes().ttl_s + 1)
    with database.write() as connection:
        assert reap_leases(connection) == 1


def sound(database, store) -> bool:
    with database.read() as connection:
        return check_invariants(connection, store) == []


def test_the_next_lease_names_the_newest_state(database, store, worker, clock):
    first = surely_claimed(database, worker)
    assert first.checkpoint is None
    assert kept(database, store, first, b"ten", 10) == offered(b"ten", 10)
    assert kept(database, store, first, b"twenty", 20) == offered(b"twenty", 20)
    lost(database, clock)
    second = surely_claimed(database, worker)
    assert (second.epoch, second.checkpoint) == (2, offered(b"twenty", 20))
    assert drop_checkpoints(database, store) == 1  # the state that was superseded
    assert files(store) == {b"twenty"}
    assert sound(database, store)


def test_a_worker_that_lost_its_lease_cannot_overwrite(database, store, worker, clock):
    stale = surely_claimed(database, worker)
    on_its_way = announced(database, stale, b"stale", 30)
    lost(database, clock)
    newest = surely_claimed(database, worker)
    kept(database, store, newest, b"newest", 5)
    with pytest.raises(LeaseLost):
        announced(database, stale, b"later", 40)
    with pytest.raises(LeaseLost), database.write() as connection:
        keep_checkpoint(connection, on_its_way, stale.epoch)
    with pytest.raises(LeaseLost), database.write() as connection:
        keep_checkpoint(connection, on_its_way, newest.epoch)  # the right epoch, another lease
    lost(database, clock)
    assert surely_claimed(database, worker).checkpoint == offered(b"newest", 5)
    assert sound(database, store)


def test_a_repeated_or_late_upload_changes_nothing(database, store, worker):
    grant = surely_claimed(database, worker)
    kept(database, store, grant, b"twenty", 20)
    assert kept(database, store, grant, b"twenty", 20) is None
    assert kept(database, store, grant, b"ten", 10) is None
    assert files(store) == {b"twenty"}


@pytest.mark.parametrize("end", ["completed", "recipe", "stopped"])
def test_a_stage_that_has_ended_leaves_no_state(database, store, worker, experiment, end):
    grant = surely_claimed(database, worker)
    kept(database, store, grant, b"state")
    assert drop_checkpoints(database, store) == 0
    if end == "completed":
        completed(database, grant)
    elif end == "recipe":
        with database.write() as connection:
            request = FailRequest(epoch=1, fault="recipe", message="no")
            record_failure(connection, grant.lease_id, request)
    else:  # while the stage waits for its next worker
        with database.write() as connection:
            request = FailRequest(epoch=1, fault="machine", message="no")
            record_failure(connection, grant.lease_id, request)
        with database.write() as connection:
            stop(connection, experiment)
    assert drop_checkpoints(database, store) == 1
    assert files(store) == set()
    assert drop_checkpoints(database, store) == 0
    assert sound(database, store)


def test_a_file_that_never_arrived_is_forgotten_in_time(database, store, worker, clock):
    grant = surely_claimed(database, worker)
    row = announced(database, grant, b"state", 10)
    store.put([b"state"], row.sha256, 1_000)  # and then the server was killed
    assert drop_checkpoints(database, store) == 0  # it may still come
    clock.advance(3_601)
    assert drop_checkpoints(database, store) == 1
    assert files(store) == set()
    with pytest.raises(Unavailable, match="too long"), database.write() as connection:
        keep_checkpoint(connection, row, grant.epoch)
    assert sound(database, store)


def test_a_server_killed_while_it_drops_a_state_drops_it_again(
    database, store, worker, monkeypatch
):
    grant = surely_claimed(database, worker)
    kept(database, store, grant, b"state")
    completed(database, grant)

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            drop_checkpoints(database, store)
    assert files(store) == {b"state"}
    assert sound(database, store)
    assert drop_checkpoints(database, store) == 1
    assert files(store) == set()


def test_bytes_that_something_else_refers_to_stay(database, store, worker):
    grant = surely_claimed(database, worker)
    row = kept(database, store, grant, b"state")
    with database.write() as connection:
        record_artifact(connection, row.sha256, row.size_bytes)
    completed(database, grant, artifacts=[{"name": "network", "sha256": row.sha256}])
    assert drop_checkpoints(database, store) == 1
    assert files(store) == {b"state"}
    assert sound(database, store)


def test_an_attempt_tells_where_it_went_on(database, store, worker, experiment, clock):
    kept(database, store, surely_claimed(database, worker), b"state", 10)
    lost(database, clock)
    grant = surely_claimed(database, worker)
    for step in (10, 99):  # what is told first stays
        with database.write() as connection:
            beat = Heartbeat(epoch=grant.epoch, resumed_after_step=step)
            renew_lease(connection, grant.lease_id, beat, TIMES)
    with database.read() as connection:
        attempts = read_trial(connection, experiment, 0).attempts
    assert [attempt.resumed_after_step for attempt in attempts] == [None, 10]
