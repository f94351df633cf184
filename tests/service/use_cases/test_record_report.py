import math

import pytest
from sqlalchemy import select

from service.domain.errors import (
    ArtifactNotFound,
    InvalidRequest,
    LeaseLost,
    LeaseNotFound,
    MeasurementMissing,
    UnknownMetric,
)
from service.domain.trial import Trial
from service.schemas.leases import CompleteRequest, FailRequest, InfeasibleRequest, LeaseGrant
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.storage.tables import metadata
from service.use_cases.list_trials import all_trials
from service.use_cases.read_trial import read_trial
from service.use_cases.reap_leases import reap_leases
from service.use_cases.record_report import record_complete, record_failure, record_infeasible
from service.use_cases.steer_experiment import stop
from service.use_cases.stop_trial import stop_trial
from tests.conftest import FakeClock
from tests.service.sent_statements import sent_statements
from tests.service.toy_experiments import (
    completed,
    created,
    registered,
    result_of,
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
    return registered(database)


@pytest.fixture
def grant(database: Database, experiment_id: str, worker: str) -> LeaseGrant:
    return surely_claimed(database, worker)


def everything(database: Database) -> dict[str, list]:
    """Every row of every table."""
    with database.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


def the_trial(database: Database, experiment_id: str, number: int = 0) -> Trial:
    with database.read() as connection:
        return all_trials(connection, experiment_id)[number]


def failed(database: Database, grant: LeaseGrant, fault: str, message: str = "broke"):
    request = FailRequest(epoch=grant.epoch, fault=fault, message=message, detail="Traceback")
    with database.write() as connection:
        return record_failure(connection, grant.lease_id, request)


def test_a_late_report_under_an_old_epoch_changes_no_row(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant, clock: FakeClock
) -> None:
    clock.advance(61)
    with database.write() as connection:
        assert reap_leases(connection) == 1
    newer = surely_claimed(database, worker)
    assert (newer.trial_number, newer.epoch) == (0, 2)
    before = everything(database)
    infeasible = InfeasibleRequest(epoch=1, reason="diverged")
    fault = FailRequest(epoch=1, fault="recipe", message="late")
    for deed, request in (
        (record_complete, result_of(grant)),
        (record_failure, fault),
        (record_infeasible, infeasible),
    ):
        with pytest.raises(LeaseLost), database.write() as connection:
            deed(connection, grant.lease_id, request)
    # The new lease's id with the old epoch, and the other way round, are refused as well.
    with pytest.raises(LeaseLost), database.write() as connection:
        record_complete(connection, newer.lease_id, result_of(grant))
    with pytest.raises(LeaseLost), database.write() as connection:
        record_complete(connection, grant.lease_id, result_of(newer))
    assert everything(database) == before
    assert completed(database, newer).stage_status == "completed"


def test_an_expired_lease_may_finish_until_it_is_reaped(
    database: Database, experiment_id: str, grant: LeaseGrant, clock: FakeClock
) -> None:
    clock.advance(3600)
    assert completed(database, grant).stage_status == "completed"
    with database.write() as connection:
        assert reap_leases(connection) == 0


def test_the_same_report_is_answered_the_same_and_another_refused(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    first = completed(database, grant)
    completed(database, surely_claimed(database, worker))
    before = everything(database)
    assert the_trial(database, experiment_id).status == "completed"
    assert completed(database, grant) == first
    assert first.trial_status == "running"
    with pytest.raises(LeaseLost):
        completed(database, grant, measurements={"error": 0.1, "loss": 1.0})
    with pytest.raises(LeaseLost):
        failed(database, grant, "machine")
    assert everything(database) == before


@pytest.mark.parametrize("fault", ["machine", "recipe", "preempted"])
def test_a_repeated_failure_is_answered_the_same(
    database: Database, experiment_id: str, grant: LeaseGrant, fault: str
) -> None:
    first = failed(database, grant, fault)
    before = everything(database)
    assert failed(database, grant, fault) == first
    assert everything(database) == before


def test_the_recipes_fault_is_final(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    reply = failed(database, grant, "recipe", "no such layer")
    assert (reply.trial_status, reply.stage_status) == ("failed", "failed")
    trial = the_trial(database, experiment_id)
    assert trial.reason == "train: no such layer"
    assert [stage.status for stage in trial.stages] == ["failed", "cancelled"]


def test_the_machines_fault_is_tried_again_up_to_max_attempts(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    for attempt in (1, 2):
        reply = failed(database, grant, "machine")
        assert (reply.trial_status, reply.stage_status) == ("running", "ready")
        grant = surely_claimed(database, worker)
        assert (grant.trial_number, grant.epoch) == (0, attempt + 1)
    reply = failed(database, grant, "machine", "out of memory")
    assert (reply.trial_status, reply.stage_status) == ("failed", "failed")
    assert the_trial(database, experiment_id).reason == "train: out of memory (3 attempts)"


def test_a_preempted_attempt_does_not_count(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    for _ in range(5):
        assert failed(database, grant, "preempted").stage_status == "ready"
        grant = surely_claimed(database, worker)
    assert grant.epoch == 6
    assert the_trial(database, experiment_id).stages[0].attempts == 1


def test_an_infeasible_arm_keeps_its_measurements_and_is_never_tried_again(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    request = InfeasibleRequest(epoch=1, reason="loss is NaN", measurements={"loss": 9.0})
    with database.write() as connection:
        reply = record_infeasible(connection, grant.lease_id, request)
    with database.write() as connection:
        assert record_infeasible(connection, grant.lease_id, request) == reply
    assert (reply.trial_status, reply.stage_status) == ("infeasible", "infeasible")
    trial = the_trial(database, experiment_id)
    assert trial.reason == "loss is NaN"
    assert trial.measurements["loss"].mean == 9.0


def test_a_needed_metric_that_is_missing_is_asked_for(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    with pytest.raises(MeasurementMissing, match="error not reported") as caught:
        completed(database, grant, measurements={"loss": 1.0})
    assert caught.value.field == "measurements.error"
    completed(database, grant, measurements={"error": 0.5})
    measure = surely_claimed(database, worker)
    with pytest.raises(MeasurementMissing, match="latency_ms not reported"):
        completed(database, measure, measurements={"macs": 12.0})
    assert completed(database, measure).trial_status == "completed"


def test_an_unknown_metric_is_refused_with_the_nearest_name(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    with pytest.raises(UnknownMetric, match="Did you mean 'error'") as caught:
        completed(database, grant, measurements={"eror": 1.0, "error": 1.0})
    assert caught.value.field == "measurements.eror"


def test_another_unit_is_refused(database: Database, experiment_id: str, grant: LeaseGrant) -> None:
    with pytest.raises(InvalidRequest, match="'%'") as caught:
        completed(database, grant, measurements={"error": {"mean": 25.0, "unit": "%"}})
    assert caught.value.field == "measurements.error.unit"


def test_json_that_holds_nan_is_refused_wherever_it_is(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    with pytest.raises(InvalidRequest, match=r"environment\.gpu\.1") as caught:
        completed(database, grant, environment={"gpu": [1.0, math.inf]})
    assert caught.value.field == "environment.gpu.1"
    nan = {"error": {"mean": 1.0, "protocol": {"x": math.nan}}}
    with pytest.raises(InvalidRequest, match="protocol"):
        completed(database, grant, measurements=nan)


def test_a_file_that_was_not_uploaded_is_refused(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    with pytest.raises(ArtifactNotFound, match="Upload it first") as caught:
        completed(database, grant, artifacts=[{"name": "weights", "sha256": "b" * 64}])
    assert caught.value.field == "artifacts.0.sha256"


def test_text_that_postgresql_cannot_hold_is_kept_readable(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    request = FailRequest(epoch=1, fault="recipe", message="a\x00b", environment={"k": "\x00"})
    with database.write() as connection:
        record_failure(connection, grant.lease_id, request)
    with database.read() as connection:
        detail = read_trial(connection, experiment_id, 0)
    assert detail.attempts[0].detail == "a\ufffdb"
    assert detail.attempts[0].environment == {"k": "\x00"}


def test_extreme_but_finite_numbers_come_back_as_they_were(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    extremes = {
        "error": {"mean": 1.7976931348623157e308, "sem": 5e-324, "n": 2**53},
        "loss": {"mean": -0.0, "protocol": {"one": 1.0, "int": 1, "deep": [{"x": None}]}},
    }
    request = CompleteRequest.model_validate({"epoch": 1, "measurements": extremes})
    with database.write() as connection:
        record_complete(connection, grant.lease_id, request)
    found = the_trial(database, experiment_id).measurements
    assert (found["error"].mean, found["error"].sem, found["error"].n) == (
        1.7976931348623157e308,
        5e-324,
        2**53,
    )
    assert found["loss"].mean == 0.0
    assert repr(found["loss"].protocol) == "{'one': 1.0, 'int': 1, 'deep': [{'x': None}]}"


def test_a_metric_reported_by_both_stages_shows_the_later(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    completed(database, grant, measurements={"error": 0.5, "weight_count": 10.0})
    measure = surely_claimed(database, worker)
    completed(database, measure, measurements={"latency_ms": 2.0, "weight_count": 12.0})
    assert the_trial(database, experiment_id).measurements["weight_count"].mean == 12.0


def test_a_trial_stopped_early_keeps_what_it_reported(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    with database.write() as connection:
        stop_trial(connection, experiment_id, 0, "looks bad")
    reply = completed(database, grant, measurements={"error": 0.9}, early_stopped=True)
    assert (reply.trial_status, reply.stage_status) == ("early_stopped", "early_stopped")
    trial = the_trial(database, experiment_id)
    assert (trial.reason, trial.measurements["error"].mean) == ("looks bad", 0.9)


def test_a_stopped_trial_that_finished_its_stage_is_not_measured(
    database: Database, experiment_id: str, grant: LeaseGrant
) -> None:
    with database.write() as connection:
        stop_trial(connection, experiment_id, 0, "looks bad")
    reply = completed(database, grant)
    assert (reply.trial_status, reply.stage_status) == ("early_stopped", "completed")


@pytest.mark.parametrize("fault", ["machine", "recipe", "preempted"])
def test_a_stopped_trial_that_fails_is_not_tried_again(
    database: Database, experiment_id: str, grant: LeaseGrant, fault: str
) -> None:
    with database.write() as connection:
        stop_trial(connection, experiment_id, 0, "looks bad")
    assert failed(database, grant, fault).trial_status == "cancelled"


def test_a_result_that_crosses_the_stop_of_the_experiment_is_kept(
    database: Database, experiment_id: str, worker: str, grant: LeaseGrant
) -> None:
    completed(database, grant)
    measure = surely_claimed(database, worker)
    with database.write() as connection:
        stop(connection, experiment_id)
    assert completed(database, measure).trial_status == "completed"


def test_a_report_reads_its_trial_once(database: Database, grant: LeaseGrant) -> None:
    with sent_statements() as sent:
        reply = completed(database, grant)
    assert (reply.trial_status, reply.stage_status) == ("running", "completed")
    assert sum(statement.startswith("SELECT trials.id") for statement, _ in sent) == 1


def test_an_unknown_lease_is_not_found(database: Database, grant: LeaseGrant) -> None:
    with pytest.raises(LeaseNotFound), database.write() as connection:
        record_complete(connection, "lease_0", result_of(grant))
