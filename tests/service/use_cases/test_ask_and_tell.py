import pytest

from service.domain.errors import (
    ArmOutsideSearchSpace,
    BudgetExhausted,
    InvalidRequest,
    LeaseLost,
    MeasurementMissing,
    NoCandidateReady,
    TransitionRefused,
    TrialNotFound,
    UnknownMetric,
)
from service.domain.trial import Trial
from service.schemas.trials import AskReply, AskRequest, AttachRequest, TellRequest
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.ask_trial import ask_trial
from service.use_cases.attach_trial import attach_trial
from service.use_cases.list_trials import all_trials
from service.use_cases.read_experiment import read_experiment
from service.use_cases.reap_leases import reap_leases
from service.use_cases.steer_experiment import pause, raise_budget, stop
from service.use_cases.stop_trial import stop_trial
from service.use_cases.tell_trial import tell_trial
from service.use_cases.top_up_candidates import add_candidates
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    created,
    external_spec,
    external_suggestion,
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
    return created(database, external_spec())


def pooled(database: Database, experiment_id: str, *widths: int) -> None:
    with database.write() as connection:
        some = [external_suggestion(width) for width in widths]
        assert len(add_candidates(connection, experiment_id, some)) == len(widths)


def asked(database: Database, experiment_id: str, **changes) -> AskReply:
    with database.write() as connection:
        return ask_trial(connection, experiment_id, AskRequest(**changes), None)


def told(database: Database, experiment_id: str, number: int, **changes) -> Trial:
    given = {"trial_number": number, "measurements": {"score": 0.5}} | changes
    with database.write() as connection:
        return tell_trial(connection, experiment_id, TellRequest.model_validate(given))


def attached(database: Database, experiment_id: str, **changes) -> Trial:
    given = {"parameters": {"width": 77}} | changes
    with database.write() as connection:
        return attach_trial(connection, experiment_id, AttachRequest.model_validate(given))


def test_a_loop_asks_and_tells_until_the_budget_is_spent(
    database: Database, experiment_id: str
) -> None:
    for width in range(1, 5):
        with pytest.raises((NoCandidateReady,), match="Ask again"):
            asked(database, experiment_id)
        pooled(database, experiment_id, width)
        reply = asked(database, experiment_id)
        assert reply.trial.arm.parameters == {"width": width}
        assert (reply.trial.status, reply.epoch) == ("running", 1)
        trial = told(database, experiment_id, reply.trial.number, epoch=reply.epoch)
        assert (trial.status, trial.measurements["score"].mean) == ("completed", 0.5)
    with pytest.raises(BudgetExhausted):
        asked(database, experiment_id)
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).experiment.status == "completed"


def test_no_more_are_handed_out_than_max_parallel(database: Database, experiment_id: str) -> None:
    pooled(database, experiment_id, 1, 2)
    first = asked(database, experiment_id)
    asked(database, experiment_id)
    pooled(database, experiment_id, 3, 4)
    with pytest.raises(NoCandidateReady, match="max_parallel"):
        asked(database, experiment_id)
    told(database, experiment_id, first.trial.number)
    assert asked(database, experiment_id).trial.number == 2


def test_telling_the_same_again_changes_nothing(database: Database, experiment_id: str) -> None:
    pooled(database, experiment_id, 1)
    asked(database, experiment_id)
    first = told(database, experiment_id, 0)
    assert told(database, experiment_id, 0) == first
    with pytest.raises(LeaseLost, match="ended already"):
        told(database, experiment_id, 0, measurements={"score": 0.6})


def test_an_expired_trial_is_asked_again_and_the_first_asker_is_fenced_off(
    database: Database, experiment_id: str, clock: FakeClock
) -> None:
    pooled(database, experiment_id, 1)
    first = asked(database, experiment_id, lease_seconds=10)
    clock.advance(11)
    with database.write() as connection:
        assert reap_leases(connection) == 1
    second = asked(database, experiment_id)
    assert (second.trial.number, second.epoch) == (first.trial.number, 2)
    with pytest.raises(LeaseLost, match="newest is 2"):
        told(database, experiment_id, 0, epoch=1)
    assert told(database, experiment_id, 0, epoch=2).status == "completed"


def test_without_an_epoch_a_late_result_is_taken_while_nobody_else_has_it(
    database: Database, experiment_id: str, clock: FakeClock
) -> None:
    pooled(database, experiment_id, 1)
    asked(database, experiment_id, lease_seconds=10)
    clock.advance(11)
    with database.write() as connection:
        reap_leases(connection)
    with pytest.raises(LeaseLost):
        told(database, experiment_id, 0, epoch=1)
    assert told(database, experiment_id, 0).status == "completed"


def test_a_trial_asked_too_often_without_an_answer_fails(
    database: Database, experiment_id: str, clock: FakeClock
) -> None:
    pooled(database, experiment_id, 1)
    for _ in range(3):
        asked(database, experiment_id, lease_seconds=10)
        clock.advance(11)
        with database.write() as connection:
            reap_leases(connection)
    with pytest.raises(NoCandidateReady):
        asked(database, experiment_id)
    with database.read() as connection:
        assert all_trials(connection, experiment_id)[0].status == "failed"


def test_an_infeasible_arm_is_told_with_its_reason(database: Database, experiment_id: str) -> None:
    pooled(database, experiment_id, 1)
    asked(database, experiment_id)
    trial = told(
        database, experiment_id, 0, measurements={}, infeasible_reason="does not fit the device"
    )
    assert (trial.status, trial.reason) == ("infeasible", "does not fit the device")


def test_what_is_told_is_checked(database: Database, experiment_id: str) -> None:
    pooled(database, experiment_id, 1)
    asked(database, experiment_id)
    with pytest.raises(MeasurementMissing, match="score not reported"):
        told(database, experiment_id, 0, measurements={})
    with pytest.raises(UnknownMetric, match="Did you mean 'score'"):
        told(database, experiment_id, 0, measurements={"scores": 1.0})
    with pytest.raises(TrialNotFound):
        told(database, experiment_id, 1)
    with pytest.raises(TrialNotFound):
        told(database, experiment_id, 2**80)


def test_stopping_an_asked_trial_ends_it_at_once(database: Database, experiment_id: str) -> None:
    pooled(database, experiment_id, 1, 2)
    asked(database, experiment_id)
    with database.write() as connection:
        assert stop_trial(connection, experiment_id, 0, "enough").status == "cancelled"
    asked(database, experiment_id)
    with database.write() as connection:
        stop(connection, experiment_id)
    with pytest.raises(LeaseLost, match="cancelled"):
        told(database, experiment_id, 1)
    with pytest.raises(TransitionRefused, match="stopped"):
        asked(database, experiment_id)


def test_a_paused_experiment_hands_nothing_out_but_hears(
    database: Database, experiment_id: str
) -> None:
    pooled(database, experiment_id, 1, 2)
    asked(database, experiment_id)
    with database.write() as connection:
        pause(connection, experiment_id)
    with pytest.raises(TransitionRefused, match="Resume it"):
        asked(database, experiment_id)
    assert told(database, experiment_id, 0).status == "completed"


def test_ask_and_tell_are_not_for_workers_experiments(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    with pytest.raises(TransitionRefused, match="run by workers"):
        asked(database, experiment_id)
    with pytest.raises(TransitionRefused, match="run by workers"):
        told(database, experiment_id, 0)


def test_an_attached_arm_is_asked_first(database: Database, experiment_id: str) -> None:
    pooled(database, experiment_id, 1)
    trial = attached(database, experiment_id)
    assert (trial.status, trial.source, trial.number) == ("candidate", "manual", 1)
    assert asked(database, experiment_id).trial.number == 1


def test_an_arm_attached_with_results_is_completed(database: Database, experiment_id: str) -> None:
    trial = attached(database, experiment_id, measurements={"score": {"mean": 3, "sem": 0.1}})
    assert (trial.status, trial.measurements["score"].sem) == ("completed", 0.1)
    bad = attached(database, experiment_id, infeasible_reason="known to diverge")
    assert (bad.status, bad.reason) == ("infeasible", "known to diverge")


def test_a_workers_arm_attached_with_results_needs_no_worker(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=2))
    parameters = {"width": 5, "rate": 0.25, "pruned": False}
    with pytest.raises(MeasurementMissing, match="latency_ms not reported"):
        attached(database, experiment_id, parameters=parameters, measurements={"error": 0.5})
    trial = attached(
        database,
        experiment_id,
        parameters=parameters,
        measurements={"error": 0.5, "latency_ms": 1.0},
    )
    assert [stage.kind for stage in trial.stages] == ["external"]
    again = attached(database, experiment_id, parameters=parameters)
    assert surely_claimed(database, registered(database)).trial_number == again.number
    with pytest.raises(BudgetExhausted, match="Raise the budget"):
        attached(database, experiment_id, parameters=parameters)


def test_the_last_attached_result_completes_the_experiment(database: Database) -> None:
    experiment_id = created(database, external_spec(budget=1))
    attached(database, experiment_id, measurements={"score": 1.0})
    with database.write() as connection:
        assert read_experiment(connection, experiment_id).experiment.status == "completed"
        raise_budget(connection, experiment_id, 2)
    attached(database, experiment_id)
    with database.write() as connection:
        stop(connection, experiment_id)
    with pytest.raises(TransitionRefused, match="stopped for good"):
        attached(database, experiment_id)


def test_an_illegal_arm_is_refused_with_every_reason(
    database: Database, experiment_id: str
) -> None:
    with pytest.raises(ArmOutsideSearchSpace, match="width needs a whole number") as caught:
        attached(database, experiment_id, parameters={"width": 0, "depth": 3})
    assert "depth is no parameter" in str(caught.value)
    assert caught.value.field == "parameters.width"
    with pytest.raises(InvalidRequest):
        attached(database, experiment_id, parameters={})
    with database.read() as connection:
        assert all_trials(connection, experiment_id) == []


def test_an_arm_is_kept_in_its_one_spelling(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    one = attached(database, experiment_id, parameters={"rate": 1, "width": 4.0, "pruned": True})
    assert repr(one.arm.parameters) == "{'width': 4, 'rate': 1.0, 'pruned': True}"
    assert topped_up(database, experiment_id, 9) == [1]
