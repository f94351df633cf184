import math

import pytest

from service.domain.errors import InvalidRequest, TransitionRefused, WorkerNotFound
from service.schemas.workers import WIRE_VERSION, WorkerStatusChange, WorkerView
from service.storage.database import Database
from service.storage.events import events_after
from service.use_cases.list_workers import list_workers, read_worker
from service.use_cases.register_worker import change_worker_status, register_worker
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    TIMES,
    claimed,
    completed,
    created,
    registered,
    registration,
    surely_claimed,
    topped_up,
    worker_spec,
)


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


def fleet(database: Database) -> list[WorkerView]:
    with database.read() as connection:
        return list_workers(connection)


def changed(database: Database, worker_id: str, status: str) -> WorkerView:
    with database.write() as connection:
        return change_worker_status(connection, worker_id, WorkerStatusChange(status=status))


def test_a_worker_is_listed_with_what_it_can_do(database: Database, clock: FakeClock) -> None:
    registered(database, "bert", labels={"rack": "7"}, profile={"cores": 2, "ghz": 1.0})
    registered(database, "anna")
    anna, bert = fleet(database)
    assert (anna.name, bert.name, bert.status) == ("anna", "bert", "online")
    assert (bert.labels, repr(bert.profile)) == ({"rack": "7"}, "{'cores': 2, 'ghz': 1.0}")
    assert [(space.name, space.version) for space in bert.search_spaces] == [("toy", 3)]
    assert (bert.slots, bert.busy_slots, bert.registered_at) == (4, 0, clock.now)


def test_registering_again_replaces_the_session_but_not_its_leases(
    database: Database, clock: FakeClock
) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    first = registered(database)
    grant = surely_claimed(database, first)
    second = registered(database)
    assert [worker.id for worker in fleet(database)] == [second]
    # A restarted worker delivers what it had finished before.
    assert completed(database, grant).stage_status == "completed"
    with database.read() as connection:
        assert read_worker(connection, first).status == "stopped"
    with pytest.raises(TransitionRefused, match="registered again"):
        changed(database, first, "online")
    assert changed(database, first, "stopped").status == "stopped"
    assert [worker.status for worker in fleet(database)] == ["online"]


def test_a_silent_worker_is_lost_until_it_is_heard_again(
    database: Database, clock: FakeClock
) -> None:
    worker = registered(database)
    clock.advance(60)
    assert fleet(database)[0].status == "online"
    clock.advance(1)
    assert fleet(database)[0].status == "lost"
    assert claimed(database, worker) is None
    assert (fleet(database)[0].status, fleet(database)[0].last_seen_at) == ("online", clock.now)


def test_a_worker_drains_and_stops(database: Database, clock: FakeClock) -> None:
    worker = registered(database)
    assert changed(database, worker, "draining").status == "draining"
    assert changed(database, worker, "draining").status == "draining"
    assert changed(database, worker, "stopped").status == "stopped"
    clock.advance(600)
    assert fleet(database)[0].status == "stopped"
    with database.read() as connection:
        kinds = [event.kind for event in events_after(connection, 0)]
    assert kinds == ["worker_registered", "worker_draining", "worker_stopped"]
    with pytest.raises(WorkerNotFound):
        changed(database, "nobody", "online")


@pytest.mark.parametrize(
    ("version", "who"),
    [(WIRE_VERSION - 1, "Upgrade the worker"), (WIRE_VERSION + 1, "Upgrade the server")],
    ids=["older", "newer"],
)
def test_another_wire_version_is_refused(database: Database, version: int, who: str) -> None:
    with pytest.raises(InvalidRequest, match=who) as caught:
        registered(database, wire_version=version)
    assert caught.value.field == "wire_version"


def test_a_profile_that_is_no_json_is_refused(database: Database) -> None:
    request = registration(profile={"temperature": math.nan})
    refused = pytest.raises(InvalidRequest, match=r"profile\.temperature")
    with refused, database.write() as connection:
        register_worker(connection, request, None, TIMES)
