"""Trainings that will hardly end on the front are told to stop, and say why."""

import pytest

from service.background.early_stopper import EarlyStopper
from service.domain.errors import InvalidRequest
from service.schemas.leases import Heartbeat
from service.storage.database import Database
from service.storage.experiments import find_experiment
from service.storage.invariants import check_invariants
from service.use_cases.judge_trainings import experiments_to_judge, judge_trainings, stop_judged
from service.use_cases.list_trials import all_trials
from service.use_cases.read_front import read_front
from service.use_cases.renew_lease import renew_lease
from service.use_cases.resolve_experiment import resolve_experiment
from service.use_cases.top_up_candidates import history_request
from tests.service.toy_experiments import (
    BOTH_TOY_SPACES,
    REGISTRY,
    TIMES,
    completed,
    created,
    external_spec,
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


def begun(database, **changes):
    given = {
        "search_space": "quick-toy",
        "budget": 20,
        "max_parallel": 4,
        "early_stopping": {"probability_below": 0.05, "min_trials": 5},
        "optimizer": {"strategy": "sobol", "pool_size": 20},
    }
    return created(database, worker_spec(**given | changes))


def worker_of(database):
    return registered(database, search_spaces=BOTH_TOY_SPACES)


def beat(database, grant, *values, metric="loss"):
    """Reports one value of the learning curve every hundred steps; gives the command."""
    curve = [
        {"step": 100 * (place + 1), "metrics": {metric: value}}
        for place, value in enumerate(values)
    ]
    heartbeat = Heartbeat.model_validate({"epoch": grant.epoch, "curve": curve})
    with database.write() as connection:
        return renew_lease(connection, grant.lease_id, heartbeat, TIMES).command


def next_training(database, worker, latency_ms=4.2):
    """Measures the next candidate and claims its training."""
    measure = surely_claimed(database, worker)
    assert measure.stage_kind == "measure"
    completed(database, measure, measurements={"latency_ms": {"mean": latency_ms, "sem": 0.01}})
    return surely_claimed(database, worker)


def trained(database, worker, error, latency_ms=4.0):
    """One whole trial whose loss foretells its error: 2 x error, then 1.5 x, then 1 x."""
    train = next_training(database, worker, latency_ms)
    beat(database, train, 2 * error, 1.5 * error, error)
    completed(database, train, measurements={"error": error, "loss": error})
    return train


@pytest.fixture
def worker(database: Database) -> str:
    return worker_of(database)


@pytest.fixture
def experiment_id(database: Database, worker: str) -> str:
    """Six finished trials, the best with an error of 0.1 at 4 ms."""
    experiment_id = begun(database)
    topped_up(database, experiment_id, *range(1, 12))
    for error in (0.5, 0.3, 0.41, 0.1, 0.22, 0.35):
        trained(database, worker, error + 0.001 * len(str(error)))
    return experiment_id


def judged(database, experiment_id):
    with database.read() as connection:
        (experiment,) = experiments_to_judge(connection)
        assert experiment.id == experiment_id
        return judge_trainings(connection, experiment)


def test_a_hopeless_training_is_stopped_with_its_reason(
    database: Database, worker: str, experiment_id: str
) -> None:
    train = next_training(database, worker)
    assert beat(database, train, 1.0) == "continue"
    stopper = EarlyStopper(database)
    assert stopper.look() == 1
    assert stopper.look() == 0  # told once
    assert beat(database, train, 1.0, 0.9) == "stop"
    reply = completed(database, train, early_stopped=True, measurements={"loss": 0.9})
    assert (reply.trial_status, reply.stage_status) == ("early_stopped", "early_stopped")
    with database.read() as connection:
        trial = all_trials(connection, experiment_id)[6]
    assert trial.reason is not None
    assert trial.reason.startswith(
        "stopped at step 100: it would join the front with a probability"
    )
    assert "less than 0.05" in trial.reason
    assert {name: m.mean for name, m in trial.measurements.items()} == {
        "latency_ms": 4.2,
        "loss": 0.9,
    }


def test_a_training_that_may_be_stopped_reports_more_often(database: Database, worker: str) -> None:
    plain = begun(database, name="plain", early_stopping=None)
    topped_up(database, plain, 1)
    assert next_training(database, worker).heartbeat_s == TIMES.heartbeat_s
    watched = begun(database)
    topped_up(database, watched, 1)
    measure = surely_claimed(database, worker)
    assert (measure.stage_kind, measure.heartbeat_s) == ("measure", TIMES.heartbeat_s)
    completed(database, measure)
    train = surely_claimed(database, worker)
    assert (train.experiment_id, train.heartbeat_s) == (watched, TIMES.heartbeat_s / 5)


def test_a_promising_one_goes_on(database: Database, worker: str, experiment_id: str) -> None:
    train = next_training(database, worker)
    beat(database, train, 0.15)  # half of it would be the least error so far
    assert judged(database, experiment_id) == []


def test_one_quicker_than_all_goes_on_whatever_it_errs(
    database: Database, worker: str, experiment_id: str
) -> None:
    train = next_training(database, worker, latency_ms=2.0)
    beat(database, train, 1.0)
    assert judged(database, experiment_id) == []


def test_it_is_judged_anew_when_its_curve_has_grown(
    database: Database, worker: str, experiment_id: str
) -> None:
    train = next_training(database, worker)
    beat(database, train, 0.15)
    stopper = EarlyStopper(database)
    assert stopper.look() == 0
    beat(database, train, 0.15, 0.6)
    assert stopper.look() == 1


@pytest.mark.parametrize(
    "rule",
    [None, {"min_trials": 7}, {"min_trials": 5, "min_steps": 101}],
)
def test_nothing_is_stopped_before_the_rule_allows_it(database: Database, worker, rule) -> None:
    experiment_id = begun(database, early_stopping=rule)
    topped_up(database, experiment_id, *range(1, 9))
    for error in (0.5, 0.3, 0.41, 0.1, 0.22, 0.35):
        trained(database, worker, error)
    train = next_training(database, worker)
    beat(database, train, 1.0)
    assert EarlyStopper(database).look() == 0
    with database.read() as connection:
        assert len(experiments_to_judge(connection)) == (0 if rule is None else 1)


def test_one_that_has_ended_meanwhile_is_left_alone(
    database: Database, worker: str, experiment_id: str
) -> None:
    train = next_training(database, worker)
    beat(database, train, 1.0)
    (judgement,) = judged(database, experiment_id)
    completed(database, train)
    with database.write() as connection:
        assert not stop_judged(connection, judgement)


def test_where_training_comes_first_an_unmeasured_objective_leaves_it_open(
    database: Database, worker: str
) -> None:
    experiment_id = begun(database, search_space="toy")
    topped_up(database, experiment_id, *range(1, 9))
    for error in (0.5, 0.3, 0.41, 0.1, 0.22, 0.35):
        train = surely_claimed(database, worker)
        beat(database, train, 2 * error)
        completed(database, train, measurements={"error": error, "loss": error})
        completed(database, surely_claimed(database, worker))
    train = surely_claimed(database, worker)
    beat(database, train, 1.0)
    assert judged(database, experiment_id) == []


def test_an_experiment_without_trainings_takes_no_early_stopping() -> None:
    with pytest.raises(InvalidRequest, match="no learning curves") as refused:
        resolve_experiment(external_spec(early_stopping={}), REGISTRY)
    assert refused.value.field == "early_stopping"


def observation_of(database, experiment_id, number):
    """What the optimizer is told of a trial."""
    with database.read() as connection:
        experiment = find_experiment(connection, experiment_id)
        request = history_request(connection, experiment)
        arm = all_trials(connection, experiment_id)[number].arm
    return next(o for o in request.observations if o.arm == arm)


def test_the_model_is_told_where_a_stopped_training_would_have_ended(
    database: Database, worker: str
) -> None:
    """It had an error of 0.9 when it was stopped; twice as much foretells half of it."""
    experiment_id = begun(database, optimizer={"strategy": "gp", "pool_size": 20})
    topped_up(database, experiment_id, *range(1, 12))
    for error in (0.5, 0.3, 0.41, 0.1, 0.22, 0.35):
        trained(database, worker, error + 0.001 * len(str(error)))
    train = next_training(database, worker)
    beat(database, train, 1.0)
    completed(database, train, early_stopped=True, measurements={"error": 0.9, "loss": 1.0})
    told = observation_of(database, experiment_id, 6)
    assert told.status == "early_stopped"
    assert told.measurements["error"].mean == 0.9
    assert told.measurements["latency_ms"].mean == 4.2
    assert told.ends.keys() == {"error"}
    assert told.ends["error"].mean == pytest.approx(0.5)
    assert 0 <= told.ends["error"].sem < 0.01
    with database.read() as connection:  # readers see what was measured, and no forecast
        trial = all_trials(connection, experiment_id)[6]
        front = read_front(connection, experiment_id)
    assert trial.measurements["error"].mean == 0.9
    shown = {point.trial_number: point for point in (*front.front, *front.others)}
    assert shown[6].measurements["error"].mean == 0.9
    assert observation_of(database, experiment_id, 5).ends == {}


def test_without_comparable_trainings_nothing_is_foretold(database: Database, worker: str) -> None:
    experiment_id = begun(database, optimizer={"strategy": "gp", "pool_size": 20})
    topped_up(database, experiment_id, *range(1, 12))
    for error in (0.5, 0.3):
        trained(database, worker, error)
    train = next_training(database, worker)
    beat(database, train, 1.0)
    completed(database, train, early_stopped=True, measurements={"error": 0.9, "loss": 1.0})
    assert observation_of(database, experiment_id, 2).ends == {"error": None}


def test_who_starts_warm_learns_nothing_of_a_stopped_training(
    database: Database, worker: str
) -> None:
    earlier = begun(database)
    topped_up(database, earlier, 1, 2)
    trained(database, worker, 0.5)
    train = next_training(database, worker)
    completed(database, train, early_stopped=True, measurements={"error": 0.9, "loss": 1.0})
    learner = {"strategy": "gp", "pool_size": 20}
    later = begun(database, name="later", warm_start=["toy-search"], optimizer=learner)
    with database.read() as connection:
        request = history_request(connection, find_experiment(connection, later))
    (source,) = request.sources
    assert [sorted(o.measurements) for o in source.observations] == [
        ["error", "latency_ms"],
        ["latency_ms"],
    ]
