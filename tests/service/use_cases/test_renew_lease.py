from datetime import timedelta

import pytest

from service.domain.errors import InvalidRequest, LeaseLost
from service.schemas.leases import Heartbeat, HeartbeatReply, LeaseGrant
from service.storage import attempt_records
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.list_trials import all_trials
from service.use_cases.read_experiment import read_experiment
from service.use_cases.read_trial import read_log, read_trial
from service.use_cases.reap_leases import extend_live_leases, reap_leases
from service.use_cases.renew_lease import renew_lease
from service.use_cases.steer_experiment import stop
from service.use_cases.stop_trial import stop_trial
from tests.conftest import FakeClock
from tests.service.sent_statements import sent_statements
from tests.service.toy_experiments import (
    TIMES,
    claimed,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


@pytest.fixture
def experiment_id(database: Database) -> str:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1, 2)
    return experiment_id


@pytest.fixture
def worker(database: Database) -> str:
    return registered(database, slots=1)


@pytest.fixture
def grant(database: Database, experiment_id: str, worker: str) -> LeaseGrant:
    return surely_claimed(database, worker)


def beaten(database: Database, grant: LeaseGrant, **changes) -> HeartbeatReply:
    heartbeat = Heartbeat.model_validate({"epoch": grant.epoch} | changes)
    with database.write() as connection:
        return renew_lease(connection, grant.lease_id, heartbeat, TIMES)


def reaped(database: Database) -> int:
    with database.write() as connection:
        return reap_leases(connection)


def log_of(database: Database, experiment_id: str, **where) -> str:
    with database.read() as connection:
        return read_log(connection, experiment_id, 0, **where)


def test_a_lease_lives_as_long_as_it_is_renewed(
    database: Database, grant: LeaseGrant, clock: FakeClock
) -> None:
    for _ in range(10):
        clock.advance(59.9)
        assert reaped(database) == 0
        reply = beaten(database, grant)
        assert reply.expires_at == clock.now + timedelta(seconds=60)
        assert (reply.command, reply.ttl_s) == ("continue", 60.0)
    clock.advance(60)
    assert reaped(database) == 1
    with pytest.raises(LeaseLost, match="has ended: lost"):
        beaten(database, grant)


def test_an_expired_lease_that_was_not_reaped_is_renewed(
    database: Database, grant: LeaseGrant, clock: FakeClock
) -> None:
    clock.advance(600)
    assert beaten(database, grant).command == "continue"
    assert reaped(database) == 0


def test_another_epoch_is_refused(database: Database, grant: LeaseGrant) -> None:
    with pytest.raises(LeaseLost):
        beaten(database, grant, epoch=2)
    with pytest.raises(LeaseLost):
        beaten(database, grant, epoch=2**70)


def test_a_lost_stage_is_leased_again_under_the_next_epoch(
    database: Database, experiment_id: str, grant: LeaseGrant, clock: FakeClock
) -> None:
    clock.advance(61)
    assert reaped(database) == 1
    assert reaped(database) == 0
    again = surely_claimed(database, registered(database, "bert"))
    assert (again.trial_number, again.epoch) == (grant.trial_number, 2)


def test_a_stage_lost_too_often_fails_the_trial(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant, clock: FakeClock
) -> None:
    for _ in range(3):
        clock.advance(61)
        assert reaped(database) == 1
        lost = claimed(database, worker)
    assert lost is not None
    assert lost.trial_number == 1
    with database.read() as connection:
        trial = all_trials(connection, experiment_id)[0]
    assert trial.status == "failed"
    assert trial.reason == "train: no heartbeat came in time (3 attempts)"


def test_a_server_that_starts_gives_every_open_lease_a_full_life(
    database: Database, grant: LeaseGrant, clock: FakeClock
) -> None:
    clock.advance(300)
    with database.write() as connection:
        assert extend_live_leases(connection, TIMES) == 1
    assert reaped(database) == 0
    clock.advance(59)
    assert beaten(database, grant).command == "continue"
    with database.write() as connection:
        assert extend_live_leases(connection, TIMES) == 0


def test_a_stopped_trial_is_told_to_stop(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    with database.write() as connection:
        assert stop_trial(connection, experiment_id, 0, "enough").stop_requested == "stop"
    assert beaten(database, grant).command == "stop"
    assert beaten(database, grant).command == "stop"


def test_a_stopped_experiment_cancels_its_trials_as_their_workers_learn_of_it(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    with database.write() as connection:
        view = stop(connection, experiment_id)
    assert view.explanation == "Stopped by hand; 1 trial told to stop."
    assert view.trial_counts["cancelled"] == 1
    assert beaten(database, grant).command == "cancel"
    # The reply may be lost: the worker that asks again is told again.
    assert beaten(database, grant).command == "cancel"
    with pytest.raises(LeaseLost, match="cancelled"):
        completed(database, grant)
    with database.read() as connection:
        assert [t.status for t in all_trials(connection, experiment_id)] == ["cancelled"] * 2
        assert read_experiment(connection, experiment_id).explanation == "Stopped by hand."


def test_stopping_a_trial_that_is_to_be_cancelled_does_not_save_it(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    with database.write() as connection:
        stop(connection, experiment_id)
        stop_trial(connection, experiment_id, 0, "enough")
    assert beaten(database, grant).command == "cancel"


def test_a_worker_that_never_learns_of_the_stop_loses_its_lease(
    database: Database, experiment_id: str, grant: LeaseGrant, clock: FakeClock
) -> None:
    with database.write() as connection:
        stop(connection, experiment_id)
    clock.advance(61)
    assert reaped(database) == 1
    with database.read() as connection:
        assert all_trials(connection, experiment_id)[0].status == "cancelled"


def test_curves_are_kept_once_and_leave_the_experiment_alone(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    def version() -> int:
        with database.read() as connection:
            return read_experiment(connection, experiment_id).experiment.data_version

    before = version()
    points = [{"step": step, "metrics": {"loss": 1.0 / (step + 1)}} for step in range(3)]
    beaten(database, grant, curve=points)
    beaten(database, grant, curve=points)
    beaten(database, grant, curve=[{"step": 3, "metrics": {"loss": 0.1, "error": 0.5}}])
    assert version() == before
    with database.read() as connection:
        curves = read_trial(connection, experiment_id, 0).curves
    assert [(p.metric, p.step, p.value) for p in curves] == [
        ("error", 3, 0.5),
        ("loss", 0, 1.0),
        ("loss", 1, 0.5),
        ("loss", 2, 1.0 / 3),
        ("loss", 3, 0.1),
    ]


def test_a_heartbeat_asks_the_database_little(database: Database, grant: LeaseGrant) -> None:
    with sent_statements() as sent:
        beaten(database, grant)
    assert not any("experiments" in statement for statement, _ in sent)
    asked = [s for s, _ in sent if s.startswith(("SELECT", "UPDATE", "INSERT"))]
    assert len(asked) <= 3  # the lease, the worker's sign of life, the renewal


def test_a_log_has_no_gap_and_no_second_text(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    beaten(database, grant, log={"offset": 0, "text": "hello "})
    beaten(database, grant, log={"offset": 6, "text": "wörld\n"})
    beaten(database, grant, log={"offset": 0, "text": "hello "})
    beaten(database, grant, log={"offset": 3, "text": "lo wörld\nand"})
    with pytest.raises(InvalidRequest, match="leaves a gap") as gap:
        beaten(database, grant, log={"offset": 16, "text": "x"})
    assert (gap.value.field, gap.value.remedy) == ("log.offset", "Send it from offset 15 on.")
    with pytest.raises(InvalidRequest, match="another text"):
        beaten(database, grant, log={"offset": 4, "text": "O"})
    assert log_of(database, experiment_id) == "hello wörld\nand"
    assert log_of(database, experiment_id, offset=7) == "örld\nand"
    assert log_of(database, experiment_id, offset=15) == ""
    assert log_of(database, experiment_id, offset=2**80) == ""
    assert log_of(database, experiment_id, stage="measure") == ""
    assert log_of(database, experiment_id, lease_id=grant.lease_id, offset=-5) == "hello wörld\nand"


def test_a_refused_log_does_not_renew_either(
    database: Database, grant: LeaseGrant, clock: FakeClock
) -> None:
    clock.advance(59)
    with pytest.raises(InvalidRequest):
        beaten(database, grant, log={"offset": 5, "text": "x"})
    clock.advance(1)
    assert reaped(database) == 1


def test_what_postgresql_cannot_hold_is_replaced_and_may_be_sent_again(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    for _ in range(2):
        beaten(database, grant, log={"offset": 0, "text": "a\x00b"})
    assert log_of(database, experiment_id) == "a\ufffdb"


def test_a_log_beyond_the_limit_is_cut_and_says_so(
    database: Database, experiment_id: str, grant: LeaseGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_records, "MAX_LOG_CHARACTERS", 10)
    monkeypatch.setattr("service.use_cases.read_trial.MAX_LOG_CHARACTERS", 10)
    beaten(database, grant, log={"offset": 0, "text": "12345678"})
    beaten(database, grant, log={"offset": 8, "text": "90abc"})
    beaten(database, grant, log={"offset": 13, "text": "more"})
    assert log_of(database, experiment_id).startswith("1234567890\n[the log ends here")


def test_curves_beyond_the_limit_are_dropped(
    database: Database, experiment_id: str, grant: LeaseGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_records, "MAX_CURVE_POINTS", 5)
    for start in (0, 4):
        points = [{"step": start + i, "metrics": {"loss": 1.0}} for i in range(4)]
        beaten(database, grant, curve=points)
    with database.read() as connection:
        assert len(read_trial(connection, experiment_id, 0).curves) == 5


def test_a_new_attempt_starts_its_own_log_and_curves(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant, clock: FakeClock
) -> None:
    lost = [{"step": 1, "metrics": {"loss": 9.0}}]
    beaten(database, grant, log={"offset": 0, "text": "first"}, curve=lost)
    clock.advance(61)
    reaped(database)
    again = surely_claimed(database, worker)
    beaten(database, again, log={"offset": 0, "text": "second"})
    assert log_of(database, experiment_id) == "second"
    assert log_of(database, experiment_id, lease_id=grant.lease_id) == "first"
    with database.read() as connection:
        detail = read_trial(connection, experiment_id, 0)
    assert detail.curves == ()
    assert [attempt.outcome for attempt in detail.attempts] == ["lost", None]
