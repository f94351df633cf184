"""Workers that are given nothing new for a while."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from service.domain.errors import WorkerNotFound
from service.domain.worker_hold import QUARANTINE, QUARANTINE_AFTER, WorkerHold
from service.schemas.leases import FailRequest
from service.schemas.workers import WorkerPause
from service.storage.clock import database_now
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.storage.tables import worker_holds
from service.use_cases.hold_worker import pause_worker, resume_worker
from service.use_cases.list_workers import list_workers
from service.use_cases.read_experiment import read_experiment
from service.use_cases.record_report import record_failure
from tests.service.toy_experiments import (
    claimed,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


def searched(database: Database, **changes) -> str:
    given = {"budget": 12, "max_parallel": 12, "optimizer": {"pool_size": 12}}
    experiment_id = created(database, worker_spec(**given | changes))
    topped_up(database, experiment_id, *range(1, 13))
    return experiment_id


def pause(database: Database, worker: str, **how) -> None:
    with database.write() as connection:
        pause_worker(connection, worker, WorkerPause(**how))


def hold_on(database: Database, name: str = "anna") -> WorkerHold | None:
    with database.read() as connection:
        return next(one.hold for one in list_workers(connection) if one.name == name)


def fail(database: Database, worker: str, fault: str = "machine") -> None:
    grant = surely_claimed(database, worker)
    with database.write() as connection:
        failed = FailRequest(epoch=grant.epoch, fault=fault, message="the disk is full")
        record_failure(connection, grant.lease_id, failed)


def test_a_paused_worker_gets_nothing_and_ends_what_it_holds(database: Database) -> None:
    searched(database)
    worker = registered(database)
    grant = surely_claimed(database, worker)
    pause(database, "anna", note="new fan")
    assert claimed(database, worker) is None
    assert completed(database, grant).trial_status == "running"
    held = hold_on(database)
    assert held is not None
    assert (held.kind, held.note, held.until) == ("paused", "new fan", None)
    with database.write() as connection:
        assert resume_worker(connection, "anna").hold is None
    assert claimed(database, worker) is not None


def test_a_pause_outlives_the_session_and_ends_with_its_time(database: Database) -> None:
    searched(database)
    pause(database, registered(database), for_s=600)
    worker = registered(database)  # it was started again
    assert claimed(database, worker) is None
    with database.write() as connection:
        past = database_now(connection) - timedelta(seconds=1)
        connection.execute(update(worker_holds).values(until=past))
    assert hold_on(database) is None
    assert claimed(database, worker) is not None


def test_a_machine_that_fails_again_and_again_is_kept_away(database: Database) -> None:
    experiment_id = searched(database)
    worker, other = registered(database), registered(database, "berta")
    for _ in range(QUARANTINE_AFTER):
        assert hold_on(database) is None
        fail(database, worker)
    assert claimed(database, worker) is None
    held = hold_on(database)
    assert held is not None
    assert held.kind == "quarantined"
    assert held.until == held.held_at + QUARANTINE
    assert held.note == (
        "4 attempts in a row failed by the machine's fault, the last: the disk is full"
    )
    assert claimed(database, other) is not None
    pause(database, "berta")
    with database.read() as connection:
        explained = read_experiment(connection, experiment_id).explanation
    assert "Whoever can train toy@3 is paused or in quarantine: anna, berta." in explained


def test_a_resumed_worker_is_judged_by_what_comes_after(database: Database) -> None:
    searched(database)
    worker = registered(database)
    for _ in range(QUARANTINE_AFTER):
        fail(database, worker)
    with database.write() as connection:
        resume_worker(connection, "anna")
    for _ in range(QUARANTINE_AFTER - 1):
        fail(database, worker)
    assert hold_on(database) is None
    fail(database, worker)
    assert hold_on(database) is not None


@pytest.mark.parametrize("fault", ["recipe", "preempted"])
def test_what_is_not_the_machines_fault_does_not_count(database: Database, fault: str) -> None:
    searched(database)
    worker = registered(database)
    for _ in range(QUARANTINE_AFTER + 1):
        fail(database, worker, fault)
    assert hold_on(database) is None


def test_a_success_in_between_clears_the_machine(database: Database) -> None:
    searched(database)
    worker = registered(database)
    for _ in range(QUARANTINE_AFTER - 1):
        fail(database, worker)
    completed(database, surely_claimed(database, worker))
    fail(database, worker)
    assert hold_on(database) is None


def test_nobody_is_paused_by_a_name_that_nobody_has(database: Database) -> None:
    with pytest.raises(WorkerNotFound), database.write() as connection:
        pause_worker(connection, "nobody", WorkerPause())
    with pytest.raises(WorkerNotFound), database.write() as connection:
        resume_worker(connection, "nobody")
