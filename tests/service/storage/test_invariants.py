"""Each invariant bites: the database is damaged by hand, and the damage is named."""

import re

import pytest
from sqlalchemy import text

from service.schemas.leases import Heartbeat
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.renew_lease import renew_lease
from tests.conftest import FreshDatabases
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
def database(fresh_databases: FreshDatabases):
    """Trial 0 completed, 1 being measured, 2 being trained, 3 a candidate."""
    database = Database(fresh_databases.sqlite_url())
    spec = worker_spec(budget=4, max_parallel=3, optimizer={"pool_size": 4})
    experiment_id = created(database, spec)
    worker = registered(database, slots=2)
    topped_up(database, experiment_id, 1, 2, 3, 4)
    completed(database, surely_claimed(database, worker))
    completed(database, surely_claimed(database, worker))
    completed(database, surely_claimed(database, worker))
    surely_claimed(database, worker)
    grant = surely_claimed(database, worker)
    beat = Heartbeat.model_validate({"epoch": 1, "log": {"offset": 0, "text": "hello"}})
    with database.write() as connection:
        renew_lease(connection, grant.lease_id, beat, TIMES)
    yield database
    database.dispose()


OPEN = "SELECT id FROM attempts WHERE ended_at IS NULL"
DONE = "(SELECT id FROM trials WHERE number = 0)"


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE experiments SET trials_created = 3", "I1 toy-search: 3 trials were accepted"),
        ("UPDATE trials SET number = 9 WHERE number = 3", "I1 toy-search"),
        ("UPDATE experiments SET status = 'completed'", "completed although trials"),
        ("UPDATE experiments SET status = 'stopped'", r"stopped although trials \[3\]"),
        (
            "UPDATE trials SET status = 'failed', ended_at = 1 WHERE number = 2",
            "trial 2: I1 failed with stages still open",
        ),
        (
            "UPDATE stages SET status = 'waiting' WHERE status = 'ready'",
            "trial 3: I1 candidate with not one stage ready",
        ),
        (
            "UPDATE trials SET status = 'candidate' WHERE number = 2",
            "I1 candidate with a leased stage",
        ),
        (
            f"UPDATE stages SET status = 'cancelled' WHERE kind = 'train' AND trial_id = {DONE}",
            "I1 completed with stages",
        ),
        (
            "UPDATE attempts SET outcome = 'lost' WHERE outcome = 'succeeded'",
            "I2 stage .* with results none",
        ),
        ("UPDATE stages SET epoch = 5 WHERE status = 'leased'", "I3 stage"),
        ("UPDATE attempts SET epoch = 7 WHERE ended_at IS NULL", "I3 stage"),
        (('UPDATE experiments SET max_parallel = 1, spec = replace(spec, '
         '\'"max_parallel":3\', \'"max_parallel":1\')'), "I5 toy-search: 2 trials run"),
        (("UPDATE experiments SET max_attempts = 1; UPDATE stages SET epoch = 9, attempts = 9 "
         "WHERE status = 'leased'"), "I5 stage .* had 9 of 1"),
        ("UPDATE stages SET status = 'ready' WHERE status = 'leased'", "I8 stage .* is ready"),
        ("UPDATE attempts SET ended_at = 1, outcome = 'lost' WHERE ended_at IS NULL",
         "I8 stage .* is leased with 0 open"),
        (f"DELETE FROM measurements WHERE trial_id = {DONE} AND metric = 'latency_ms'",
         "trial 0: I10 completed without latency_ms"),
        ("UPDATE measurements SET attempt_id = (" + OPEN + " LIMIT 1)",
         "comes from an attempt that was not recorded"),
        ('UPDATE log_chunks SET "offset" = 2', "I10 the log of .* has a gap at 0"),
        ("UPDATE attempts SET log_characters = 99 WHERE log_characters > 0", "5 of 99 characters"),
        ("UPDATE trials SET parameters = replace(parameters, '\"width\":1,', '\"width\":0,')",
         "I12 the arm lies outside its space"),
        (("UPDATE trials SET parameters = (SELECT parameters FROM trials WHERE number = 1) "
         "WHERE number = 2"), "I13 toy-search: the optimizer's arms repeat"),
        ("UPDATE workers SET slots = 1", "I14 worker anna holds 2 leases with 1 slots"),
        ("UPDATE attempts SET measure_device = NULL", "I14 lease .* only measurements"),
        ("UPDATE trials SET status = 'infeasible' WHERE number = 0", "events do not tell"),
        ("DELETE FROM trials WHERE number = 3", "which is not there"),
    ],
)  # fmt: skip
def test_damage_is_named(database: Database, damage: str, named: str) -> None:
    with database.read() as connection:
        assert check_invariants(connection) == []
    raw = database._engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("PRAGMA query_only = 0")
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.execute("PRAGMA ignore_check_constraints = ON")
    for statement in damage.split("; "):
        cursor.execute(statement)
        assert cursor.rowcount > 0, f"{statement} damaged nothing"
    raw.close()
    with database.read() as connection:
        broken = check_invariants(connection)
    pattern = re.compile(named)
    assert any(pattern.search(problem) for problem in broken), broken


def test_what_events_tell_is_checked_against_the_table_of_states(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            text(
                "INSERT INTO events (kind, at, experiment_id, trial_number, data) "
                "SELECT 'trial_candidate', at, experiment_id, 0, '{}' FROM events "
                "WHERE kind = 'trial_completed'"
            )
        )
    with database.read() as connection:
        broken = check_invariants(connection)
    assert any("going from completed to candidate" in problem for problem in broken)
