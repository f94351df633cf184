"""The database fails at the n-th statement, for every n: nothing is ever half written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.exc import OperationalError

from service.domain.errors import Unavailable
from service.schemas.leases import FailRequest, Heartbeat, InfeasibleRequest
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.storage.tables import metadata
from service.use_cases.attach_trial import attach_trial
from service.use_cases.lease_trial import lease_trial
from service.use_cases.reap_leases import reap_leases
from service.use_cases.record_report import record_complete, record_failure, record_infeasible
from service.use_cases.renew_lease import renew_lease
from service.use_cases.steer_experiment import stop
from service.use_cases.top_up_candidates import add_candidates
from tests.conftest import FakeClock, FreshDatabases
from tests.service.toy_experiments import (
    TIMES,
    completed,
    created,
    registered,
    result_of,
    suggestion,
    surely_claimed,
    topped_up,
    worker_spec,
)

_ENOUGH = 200
"""No deed takes so many statements."""


@pytest.fixture
def database(fresh_databases: FreshDatabases, clock: FakeClock) -> Iterator[Database]:
    """SQLite: a rollback is a rollback on PostgreSQL as well, and this is quicker."""
    database = Database(fresh_databases.sqlite_url(), clock=clock)
    yield database
    database.dispose()


def snapshot(database: Database) -> dict[str, list]:
    with database.read() as connection:
        assert check_invariants(connection) == []
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


@contextmanager
def failing_at(database: Database, statement: int) -> Iterator[list[int]]:
    """Lets the n-th statement fail (counted from 1), or the commit after the last one."""
    count = [0]

    def fail(what: str) -> None:
        count[0] += 1
        if count[0] == statement:
            raise OperationalError(what, None, Exception("disk I/O error"))

    def on_statement(connection, cursor, text, parameters, context, many) -> None:
        if not text.startswith(("BEGIN", "PRAGMA", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            fail(text)

    def on_commit(connection) -> None:
        fail("COMMIT")

    engine = database._engine
    event.listen(engine, "before_cursor_execute", on_statement)
    event.listen(engine, "commit", on_commit)
    try:
        yield count
    finally:
        event.remove(engine, "before_cursor_execute", on_statement)
        event.remove(engine, "commit", on_commit)


def survives_every_fault(database: Database, deed: Callable[[Connection], object]) -> None:
    """Whatever statement fails, no row has changed; without a fault the deed is done."""
    before = snapshot(database)
    for statement in range(1, _ENOUGH):
        with failing_at(database, statement) as count:
            try:
                with database.write() as connection:
                    deed(connection)
            except Unavailable:
                pass
            else:
                assert count[0] == statement - 1
                break
        assert snapshot(database) == before, f"statement {statement} left a trace"
    else:
        pytest.fail(f"the deed never ended within {_ENOUGH} statements")
    assert statement > 5
    assert snapshot(database) != before


@pytest.fixture
def experiment_id(database: Database) -> str:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1, 2)
    return experiment_id


@pytest.fixture
def worker(database: Database) -> str:
    return registered(database)


def test_claim_of_a_candidate(database: Database, experiment_id: str, worker: str) -> None:
    survives_every_fault(database, lambda connection: lease_trial(connection, worker, TIMES))


def test_claim_of_a_measurement(database: Database, experiment_id: str, worker: str) -> None:
    completed(database, surely_claimed(database, worker))
    survives_every_fault(database, lambda connection: lease_trial(connection, worker, TIMES))


def test_heartbeat(database: Database, experiment_id: str, worker: str, clock: FakeClock) -> None:
    grant = surely_claimed(database, worker)
    clock.advance(15)
    heartbeat = Heartbeat.model_validate(
        {
            "epoch": 1,
            "curve": [{"step": 1, "metrics": {"loss": 0.5}}],
            "log": {"offset": 0, "text": "hello"},
        }
    )
    survives_every_fault(
        database, lambda connection: renew_lease(connection, grant.lease_id, heartbeat, TIMES)
    )


def test_heartbeat_that_cancels(database: Database, experiment_id: str, worker: str) -> None:
    grant = surely_claimed(database, worker)
    with database.write() as connection:
        stop(connection, experiment_id)
    survives_every_fault(
        database,
        lambda connection: renew_lease(connection, grant.lease_id, Heartbeat(epoch=1), TIMES),
    )


def test_report_of_a_training(database: Database, experiment_id: str, worker: str) -> None:
    grant = surely_claimed(database, worker)
    survives_every_fault(
        database,
        lambda connection: record_complete(connection, grant.lease_id, result_of(grant)),
    )


def test_report_that_completes_the_experiment(database: Database, worker: str) -> None:
    experiment_id = created(database, worker_spec(name="short", budget=1))
    topped_up(database, experiment_id, 1)
    completed(database, surely_claimed(database, worker))
    grant = surely_claimed(database, worker)
    survives_every_fault(
        database,
        lambda connection: record_complete(connection, grant.lease_id, result_of(grant)),
    )


@pytest.mark.parametrize("fault", ["machine", "recipe", "preempted"])
def test_report_of_a_failure(
    database: Database, experiment_id: str, worker: str, fault: str
) -> None:
    grant = surely_claimed(database, worker)
    request = FailRequest(epoch=1, fault=fault, message="broke")
    survives_every_fault(
        database, lambda connection: record_failure(connection, grant.lease_id, request)
    )


def test_report_of_an_infeasible_arm(database: Database, experiment_id: str, worker: str) -> None:
    grant = surely_claimed(database, worker)
    request = InfeasibleRequest(epoch=1, reason="diverged", measurements={"loss": 1e9})
    survives_every_fault(
        database, lambda connection: record_infeasible(connection, grant.lease_id, request)
    )


def test_reaping(database: Database, experiment_id: str, worker: str, clock: FakeClock) -> None:
    for _ in range(2):
        surely_claimed(database, worker)
    clock.advance(61)
    survives_every_fault(database, reap_leases)


def test_topping_up(database: Database, worker: str) -> None:
    experiment_id = created(database, worker_spec())
    some = [suggestion(1), suggestion(2)]
    survives_every_fault(
        database, lambda connection: add_candidates(connection, experiment_id, some)
    )


def test_attaching_with_results(database: Database, experiment_id: str) -> None:
    request = AttachRequest(
        parameters={"width": 1, "rate": 0.1, "pruned": False},
        measurements={"error": 0.5, "latency_ms": 1.0},
    )
    survives_every_fault(
        database, lambda connection: attach_trial(connection, experiment_id, request)
    )


def test_stopping_the_experiment(database: Database, experiment_id: str, worker: str) -> None:
    surely_claimed(database, worker)
    survives_every_fault(database, lambda connection: stop(connection, experiment_id))
