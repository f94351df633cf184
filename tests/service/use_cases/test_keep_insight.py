import pytest

from search_spaces.arm import Arm
from service.domain.insight import Forecast, Insight, Prediction
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.storage.experiments import find_experiment
from service.storage.insights import find_insight
from service.storage.invariants import check_invariants
from service.use_cases.attach_trial import attach_trial
from service.use_cases.keep_insight import (
    experiments_to_look_into,
    insight_request,
    keep_insight,
)
from service.use_cases.read_experiment import read_experiment
from service.use_cases.read_front import pick_trial, read_front
from service.use_cases.steer_experiment import archive, resume, stop
from tests.conftest import FakeClock
from tests.service.toy_experiments import created, topped_up, worker_spec

ARM = {"width": 1, "rate": 0.5, "pruned": True}


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


def searching(database: Database, **changes) -> str:
    given = {"budget": 50, "optimizer": {"initial_trials": 2, "pool_size": 3}}
    return created(database, worker_spec(**(given | changes)))


def attached(database: Database, clock: FakeClock, experiment_id: str, *widths: int) -> None:
    for width in widths:
        clock.advance(1)
        measured = {"error": 1 / width, "latency_ms": float(width)}
        request = AttachRequest(parameters=ARM | {"width": width}, measurements=measured)
        with database.write() as connection:
            attach_trial(connection, experiment_id, request)


def forecast(width: int, probability: float | None = 0.75, **means: float) -> Forecast:
    found = {"error": 1 / width, "latency_ms": float(width)} | means
    return Forecast(
        arm=Arm(parameters=ARM | {"width": width}),
        predictions={name: Prediction(mean=mean, sd=0.1) for name, mean in found.items()},
        probability_on_front=probability,
    )


def insight(observations: int, **changes) -> Insight:
    given = {
        "forecasts": (forecast(1), forecast(2, None)),
        "predicted_front": (forecast(2, None), forecast(99, None), forecast(1, None)),
        "expected_gain": 0.5,
        "relative_expected_gain": 0.05,
        "observations": observations,
        "strategy": "gp",
        "seconds": 0.25,
    }
    return Insight(**(given | changes))


def kept(database: Database, experiment_id: str, one: Insight) -> bool:
    with database.write() as connection:
        return keep_insight(connection, experiment_id, one)


def due(database: Database) -> list[tuple[str, int]]:
    with database.read() as connection:
        return experiments_to_look_into(connection)


def test_an_experiment_is_looked_into_when_results_have_come_in(
    database: Database, clock: FakeClock
) -> None:
    experiment_id = searching(database)
    assert due(database) == []
    attached(database, clock, experiment_id, 1)
    assert due(database) == []  # still in its initial trials
    attached(database, clock, experiment_id, 2)
    assert due(database) == [(experiment_id, 2)]
    assert kept(database, experiment_id, insight(2))
    assert due(database) == []
    topped_up(database, experiment_id, 7)  # a candidate is no result
    assert due(database) == []
    attached(database, clock, experiment_id, 3)
    assert due(database) == [(experiment_id, 3)]


def test_what_is_over_is_looked_into_last_and_what_is_archived_never(
    database: Database, clock: FakeClock
) -> None:
    over, going_on, archived = (searching(database, name=name) for name in "abc")
    for experiment_id in (over, going_on, archived):
        attached(database, clock, experiment_id, 1, 2)
    with database.write() as connection:
        stop(connection, over)
        stop(connection, archived)
        archive(connection, archived)
    assert due(database) == [(going_on, 2), (over, 2)]


def test_without_a_model_there_is_nothing_to_ask(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database, optimizer={"strategy": "sobol", "initial_trials": 2})
    attached(database, clock, experiment_id, 1, 2)
    assert due(database) == []


def test_the_model_is_told_the_history_even_where_nothing_is_wanted(
    database: Database, clock: FakeClock
) -> None:
    experiment_id = searching(database, budget=3)
    attached(database, clock, experiment_id, 1)
    with database.read() as connection:
        assert insight_request(connection, experiment_id) is None  # one arm makes no model
    attached(database, clock, experiment_id, 2, 3)
    with database.read() as connection:
        request = insight_request(connection, experiment_id)
    assert request is not None
    assert [one.arm.parameters["width"] for one in request.observations] == [1, 2, 3]


def test_the_predicted_front_stands_beside_the_observed(
    database: Database, clock: FakeClock
) -> None:
    experiment_id = searching(database)
    attached(database, clock, experiment_id, 1, 2)
    with database.read() as connection:
        before = read_front(connection, experiment_id)
    assert before.predicted is None
    assert [point.probability_on_front for point in before.front] == [None, None]
    assert kept(database, experiment_id, insight(2))
    with database.read() as connection:
        # A reader who has seen the front without it learns that there is more to see.
        assert read_front(connection, experiment_id).data_version > before.data_version
    attached(database, clock, experiment_id, 3)
    with database.read() as connection:
        front = read_front(connection, experiment_id)
        pick = pick_trial(connection, experiment_id, {"latency_ms": 1.5})
    assert front.predicted is not None
    assert (front.predicted.as_of_trials, front.predicted.newer_trials) == (2, 1)
    assert (front.predicted.strategy, front.predicted.expected_gain) == ("gp", 0.5)
    # By the first objective, best first; an arm that no trial has run has no number.
    assert [one.trial_numbers for one in front.predicted.front] == [(), (1,), (0,)]
    assert [one.probability_on_front for one in front.predicted.front] == [None, None, 0.75]
    assert {p.trial_number: p.probability_on_front for p in front.front} == {
        0: 0.75,
        1: None,
        2: None,
    }
    assert pick.best is not None
    assert (pick.best.point.trial_number, pick.best.point.probability_on_front) == (0, 0.75)


def test_an_older_insight_never_replaces_a_newer(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database)
    attached(database, clock, experiment_id, 1, 2, 3)
    assert kept(database, experiment_id, insight(3))
    assert not kept(database, experiment_id, insight(2, strategy="late"))
    assert kept(database, experiment_id, insight(3, strategy="again"))
    with database.read() as connection:
        found = find_insight(connection, experiment_id)
    assert found is not None
    assert (found.strategy, found.observations, found.seconds) == ("again", 3, 0.25)


def test_a_forecast_without_an_objective_is_not_shown(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database)
    attached(database, clock, experiment_id, 1, 2)
    half = forecast(5).model_copy(update={"predictions": {"error": Prediction(mean=0.1, sd=0.1)}})
    kept(database, experiment_id, insight(2, predicted_front=(half, forecast(2))))
    with database.read() as connection:
        predicted = read_front(connection, experiment_id).predicted
    assert predicted is not None
    assert [one.trial_numbers for one in predicted.front] == [(1,)]


def test_too_little_expected_ends_the_search(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database, stop_rules={"expected_gain": 0.02})
    topped_up(database, experiment_id, 11, 12)
    attached(database, clock, experiment_id, 1, 2)
    kept(database, experiment_id, insight(2))
    with database.read() as connection:
        assert find_experiment(connection, experiment_id).stopped_by is None
    attached(database, clock, experiment_id, 3)
    kept(database, experiment_id, insight(3, relative_expected_gain=0.01))
    with database.read() as connection:
        view = read_experiment(connection, experiment_id)
    assert (view.experiment.status, view.trial_counts["cancelled"]) == ("completed", 2)
    assert view.explanation == (
        "The search ended before its budget of 50 was spent, by the rule expected_gain. The model "
        "expects the best next arm to raise the hypervolume by 1 %, less than 2 %. 3 of 5 trials "
        "completed."
    )
    with database.write() as connection:
        resume(connection, experiment_id)
    kept(database, experiment_id, insight(4, relative_expected_gain=0.01))
    with database.read() as connection:
        assert find_experiment(connection, experiment_id).status == "running"


def test_an_unknown_gain_ends_nothing(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database, stop_rules={"expected_gain": 0.02})
    attached(database, clock, experiment_id, 1, 2)
    kept(database, experiment_id, insight(2, relative_expected_gain=None, expected_gain=None))
    with database.read() as connection:
        assert find_experiment(connection, experiment_id).stopped_by is None
