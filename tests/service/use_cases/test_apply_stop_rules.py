import pytest

from service.domain.errors import TransitionRefused
from service.schemas.experiments import ExperimentView
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.storage.events import events_after
from service.storage.experiments import find_experiment
from service.storage.invariants import check_invariants
from service.storage.trials import trials_of_experiment
from service.use_cases.attach_trial import attach_trial
from service.use_cases.read_experiment import read_experiment
from service.use_cases.requeue_trial import requeue_trial
from service.use_cases.steer_experiment import archive, pause, raise_budget, resume
from service.use_cases.stop_trial import stop_trial
from service.use_cases.top_up_candidates import note_space_exhausted, suggestion_request
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    BOTH_TOY_SPACES,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)

RULES = {"no_gain": {"trials": 3, "share": 0.01}}


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


def searching(database: Database, **changes) -> str:
    given = {
        "budget": 50,
        "max_parallel": 9,
        "stop_rules": RULES,
        "optimizer": {"initial_trials": 2, "pool_size": 3},
        "objectives": [
            {"metric": "error", "goal": "minimize", "threshold": 1.0},
            {"metric": "latency_ms", "goal": "minimize", "threshold": 10.0},
        ],
    }
    return created(database, worker_spec(**(given | changes)))


def attached(database: Database, clock: FakeClock, experiment_id: str, *errors: float) -> None:
    for error in errors:
        clock.advance(1)
        arm = {"width": 5, "rate": 0.5, "pruned": True}
        request = AttachRequest(parameters=arm, measurements={"error": error, "latency_ms": 4.0})
        with database.write() as connection:
            attach_trial(connection, experiment_id, request)


def view_of(database: Database, experiment_id: str) -> ExperimentView:
    with database.read() as connection:
        return read_experiment(connection, experiment_id)


def steered(database: Database, deed, *args) -> ExperimentView:
    with database.write() as connection:
        return deed(connection, *args)


def test_a_stalled_search_completes_and_says_why(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database)
    attached(database, clock, experiment_id, 0.5, 0.4, 0.399, 0.5)
    assert view_of(database, experiment_id).experiment.status == "running"
    attached(database, clock, experiment_id, 0.6)
    view = view_of(database, experiment_id)
    assert view.experiment.status == "completed"
    assert view.experiment.stopped_by.rule == "no_gain"
    assert view.explanation == (
        "The search ended before its budget of 50 was spent, by the rule no_gain. The last 3 "
        "trials to complete raised the hypervolume by 0.166 %, no more than 1 %. 5 of 5 trials "
        "completed."
    )
    with database.read() as connection:
        kinds = {event.kind: event.data for event in events_after(connection, 0)}
    assert kinds["search_stopped"]["rule"] == "no_gain"
    assert "experiment_completed" in kinds


def test_without_a_rule_only_the_budget_ends_it(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database, stop_rules={}, budget=12)
    attached(database, clock, experiment_id, *[0.5] * 11)
    view = view_of(database, experiment_id)
    assert (view.experiment.status, view.experiment.stopped_by) == ("running", None)


def test_running_trials_are_finished_and_candidates_cancelled(
    database: Database, clock: FakeClock
) -> None:
    experiment_id = searching(database)
    worker = registered(database)
    topped_up(database, experiment_id, 1, 2, 3)
    under_way = surely_claimed(database, worker)
    attached(database, clock, experiment_id, *[0.5] * 5)
    view = view_of(database, experiment_id)
    assert view.experiment.status == "running"
    assert (view.trial_counts["running"], view.trial_counts["cancelled"]) == (1, 2)
    assert view.explanation.startswith("The search has ended: The last 3 trials to complete added")
    assert view.explanation.endswith("1 trial running.")
    with database.read() as connection:
        assert suggestion_request(connection, experiment_id) is None
    assert topped_up(database, experiment_id, 7) == []
    completed(database, under_way)
    assert view_of(database, experiment_id).experiment.status == "running"
    completed(database, surely_claimed(database, worker))
    assert view_of(database, experiment_id).experiment.status == "completed"


def test_an_arm_chosen_by_hand_is_still_run(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database)
    wish = AttachRequest(parameters={"width": 77, "rate": 0.5, "pruned": True})
    with database.write() as connection:
        attach_trial(connection, experiment_id, wish)
    attached(database, clock, experiment_id, *[0.5] * 5)
    assert view_of(database, experiment_id).experiment.stopped_by is not None
    worker = registered(database)
    grant = surely_claimed(database, worker)
    assert grant.arm.parameters["width"] == 77
    completed(database, grant)
    completed(database, surely_claimed(database, worker))
    assert view_of(database, experiment_id).experiment.status == "completed"


@pytest.mark.parametrize("deed", [resume, lambda c, e: raise_budget(c, e, 60)])
def test_a_person_overrules_the_rule(database: Database, clock: FakeClock, deed) -> None:
    experiment_id = searching(database)
    topped_up(database, experiment_id, 1, 2)
    attached(database, clock, experiment_id, *[0.5] * 5)
    stopped = view_of(database, experiment_id)
    assert (stopped.experiment.status, stopped.trial_counts["cancelled"]) == ("completed", 2)
    view = steered(database, deed, experiment_id)
    assert view.experiment.status == "running"
    assert (view.experiment.stopped_by, view.experiment.overruled_stop_rules) == (
        None,
        ("no_gain",),
    )
    # What the rule had cancelled is back, so that no budget is lost, and can be worked off.
    assert (view.trial_counts["cancelled"], view.trial_counts["candidate"]) == (0, 2)
    worker = registered(database)
    assert surely_claimed(database, worker).arm.parameters["width"] == 1
    attached(database, clock, experiment_id, *[0.5] * 9)
    assert view_of(database, experiment_id).experiment.stopped_by is None
    with database.read() as connection:
        assert suggestion_request(connection, experiment_id) is not None
        events = [event.kind for event in events_after(connection, 0, limit=1_000)]
    assert events.count("stop_rule_overruled") == 1


def test_what_a_person_cancelled_stays_cancelled(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database)
    topped_up(database, experiment_id, 1, 2)
    with database.write() as connection:
        stop_trial(connection, experiment_id, 0, "not this one")
    attached(database, clock, experiment_id, *[0.5] * 5)
    steered(database, resume, experiment_id)
    with database.read() as connection:
        trials = trials_of_experiment(connection, experiment_id)
    assert [trial.status for trial in trials[:2]] == ["cancelled", "candidate"]


def test_a_spent_budget_must_be_raised(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database, budget=5)
    attached(database, clock, experiment_id, *[0.5] * 5)
    assert view_of(database, experiment_id).experiment.status == "completed"
    with pytest.raises(TransitionRefused, match="Raise its budget"):
        steered(database, resume, experiment_id)
    assert steered(database, raise_budget, experiment_id, 9).experiment.status == "running"


def test_an_archived_search_is_taken_out_first(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database)
    attached(database, clock, experiment_id, *[0.5] * 5)
    steered(database, archive, experiment_id)
    with pytest.raises(TransitionRefused, match="Unarchive it first"):
        steered(database, resume, experiment_id)


def test_a_paused_search_is_ended_too(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database)
    topped_up(database, experiment_id, 1, 2)
    steered(database, pause, experiment_id)
    attached(database, clock, experiment_id, *[0.5] * 5)
    view = view_of(database, experiment_id)
    assert (view.experiment.status, view.trial_counts["cancelled"]) == ("completed", 2)


def test_infeasible_trials_do_not_count_as_completed(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database)
    attached(database, clock, experiment_id, *[0.5] * 4)
    arm = {"width": 6, "rate": 0.5, "pruned": True}
    with database.write() as connection:
        attach_trial(
            connection, experiment_id, AttachRequest(parameters=arm, infeasible_reason="diverged")
        )
        assert find_experiment(connection, experiment_id).stopped_by is None


def test_what_is_only_measured_ahead_is_cancelled_too(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database, search_space="quick-toy")
    meter = registered(database, "meter", search_spaces=BOTH_TOY_SPACES, stages=["measure"])
    worker = registered(database, search_spaces=BOTH_TOY_SPACES, stages=["train"])
    topped_up(database, experiment_id, 1, 2)
    for _ in range(2):
        measure = surely_claimed(database, meter)
        assert measure.stage_kind == "measure"
        completed(database, measure)
    in_training = surely_claimed(database, worker)
    assert in_training.stage_kind == "train"
    attached(database, clock, experiment_id, *[0.5] * 5)
    view = view_of(database, experiment_id)
    assert (view.trial_counts["running"], view.trial_counts["cancelled"]) == (1, 1)
    completed(database, in_training)
    assert view_of(database, experiment_id).experiment.status == "completed"
    steered(database, resume, experiment_id)
    # Its measurement stands; the training is all that is left to do.
    assert surely_claimed(database, worker).stage_kind == "train"


def test_an_ended_search_still_takes_what_a_person_wants_and_ends_again(
    database: Database, clock: FakeClock
) -> None:
    experiment_id = searching(database)
    topped_up(database, experiment_id, 1)
    attached(database, clock, experiment_id, *[0.5] * 5)
    attached(database, clock, experiment_id, 0.01)  # with its result: over at once
    assert view_of(database, experiment_id).experiment.status == "completed"
    wish = AttachRequest(parameters={"width": 77, "rate": 0.5, "pruned": True})
    with database.write() as connection:
        attach_trial(connection, experiment_id, wish)
        requeue_trial(connection, experiment_id, 0)
        assert suggestion_request(connection, experiment_id) is None
    assert view_of(database, experiment_id).experiment.status == "running"
    worker = registered(database)
    for _ in range(4):
        completed(database, surely_claimed(database, worker))
    view = view_of(database, experiment_id)
    assert (view.experiment.status, view.experiment.stopped_by.rule) == ("completed", "no_gain")


def test_a_measurement_under_way_is_finished_and_kept(database: Database, clock: FakeClock) -> None:
    experiment_id = searching(database, search_space="quick-toy")
    worker = registered(database, search_spaces=BOTH_TOY_SPACES)
    topped_up(database, experiment_id, 1)
    measure = surely_claimed(database, worker)
    attached(database, clock, experiment_id, *[0.5] * 5)
    view = view_of(database, experiment_id)
    assert (view.trial_counts["running"], view.trial_counts["cancelled"]) == (1, 0)
    assert completed(database, measure).stage_status == "completed"


def test_what_the_rule_cancelled_can_be_taken_up_though_the_budget_is_spent(
    database: Database, clock: FakeClock
) -> None:
    experiment_id = searching(database, budget=7)
    topped_up(database, experiment_id, 1, 2)
    attached(database, clock, experiment_id, *[0.5] * 5)
    view = steered(database, resume, experiment_id)
    assert (view.experiment.status, view.trial_counts["candidate"]) == ("running", 2)


def test_a_search_without_new_arms_is_over_even_without_its_rule(
    database: Database, clock: FakeClock
) -> None:
    experiment_id = searching(database)
    topped_up(database, experiment_id, 1)
    worker = registered(database)
    under_way = surely_claimed(database, worker)
    with database.write() as connection:
        note_space_exhausted(connection, experiment_id)
    attached(database, clock, experiment_id, *[0.5] * 5)
    completed(database, under_way)
    completed(database, surely_claimed(database, worker))
    view = steered(database, resume, experiment_id)
    assert (view.experiment.status, view.experiment.stopped_by) == ("completed", None)
    assert view.explanation.startswith("No new arm is left to try")
