import pytest
from sqlalchemy import update

from search_spaces.arm import Arm
from service.domain.trial import Trial
from service.domain.trial_seed import trial_seed
from service.optimizer.optimizer import Suggestion
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.storage.tables import trials
from service.storage.trials import find_trial, trials_of_experiment
from service.use_cases.attach_trial import attach_trial
from service.use_cases.read_experiment import read_experiment
from service.use_cases.read_front import read_front, read_hypervolume
from service.use_cases.top_up_candidates import (
    PoolChange,
    add_candidates,
    renew_pool,
    suggestion_request,
)
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    completed,
    created,
    registered,
    suggestion,
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
def searched(database: Database, clock: FakeClock) -> str:
    """An experiment with one completed trial of width 1 and a pool of three."""
    optimizer = {"pool_size": 3, "initial_trials": 1}
    experiment_id = created(database, worker_spec(budget=20, optimizer=optimizer))
    topped_up(database, experiment_id, 1)
    worker = registered(database)
    for _ in range(2):
        clock.advance(1)
        completed(database, surely_claimed(database, worker))
    return experiment_id


def replicate(width: int) -> Suggestion:
    note = {"why": "Noise limits the front.", "replicates": 99}
    return suggestion(width).model_copy(update={"source": "replicate", "note": note})


def added(database: Database, experiment_id: str, *suggestions: Suggestion) -> list[Trial]:
    with database.write() as connection:
        return add_candidates(connection, experiment_id, suggestions)


def renewed(database: Database, experiment_id: str, *suggestions: Suggestion) -> PoolChange:
    with database.write() as connection:
        request = suggestion_request(connection, experiment_id)
        assert request is not None
        return renew_pool(connection, experiment_id, request, suggestions)


def trial(database: Database, experiment_id: str, number: int) -> Trial:
    with database.read() as connection:
        return find_trial(connection, experiment_id, number)


def test_a_completed_arm_may_be_run_again(database: Database, searched: str) -> None:
    (repeat,) = added(database, searched, replicate(1), suggestion(1))
    assert (repeat.number, repeat.source) == (1, "replicate")
    # Whatever the optimizer wrote, which trial is repeated is told by the arm.
    assert repeat.note == {"why": "Noise limits the front.", "replicates": 0}
    assert repeat.arm == trial(database, searched, 0).arm


def test_only_one_repeat_is_under_way_at_a_time(database: Database, searched: str) -> None:
    assert len(added(database, searched, replicate(1), replicate(1))) == 1
    assert added(database, searched, replicate(1)) == []
    worker = registered(database, "berta")
    for _ in range(2):
        completed(database, surely_claimed(database, worker))
    (third,) = added(database, searched, replicate(1))
    assert third.note["replicates"] == 0


def test_what_has_not_completed_cannot_be_repeated(database: Database, searched: str) -> None:
    topped_up(database, searched, 2)
    arm = {"width": 4, "rate": 0.5, "pruned": True}
    with database.write() as connection:
        failing = AttachRequest(parameters=arm, infeasible_reason="diverged")
        attach_trial(connection, searched, failing)
    assert added(database, searched, replicate(2), replicate(3), replicate(4)) == []


def test_each_repeat_trains_with_a_seed_of_its_own(database: Database, searched: str) -> None:
    added(database, searched, replicate(1))
    grant = surely_claimed(database, registered(database, "berta"))
    assert (grant.trial_number, grant.arm) == (1, trial(database, searched, 0).arm)
    with database.read() as connection:
        first = trials_of_experiment(connection, searched)[0]
    assert grant.seed != trial_seed(0, first.number)


def test_the_pool_s_ranking_may_put_repeats_in_place_and_keep_them(
    database: Database, searched: str, clock: FakeClock
) -> None:
    topped_up(database, searched, 7, 8, 9)
    again = AttachRequest(
        parameters={"width": 50, "rate": 0.5, "pruned": True},
        measurements={"error": 0.5, "latency_ms": 4.0},
    )
    with database.write() as connection:
        attach_trial(connection, searched, again)
    change = renewed(database, searched, replicate(1), suggestion(8))
    assert len(change.replaced) == 1
    number = change.replaced[0]
    placed = trial(database, searched, number)
    assert (placed.source, placed.note["replicates"]) == ("replicate", 0)
    clock.advance(1)
    with database.write() as connection:
        other = again.model_copy(update={"parameters": again.parameters | {"width": 60}})
        attach_trial(connection, searched, other)
    change = renewed(database, searched, replicate(1), replicate(50))
    assert change.kept == (number,)
    assert trial(database, searched, number).note["replicates"] == 0
    assert trial(database, searched, change.replaced[0]).note["replicates"] == 4


def test_repeats_are_one_point_of_the_front(database: Database, searched: str) -> None:
    added(database, searched, replicate(1))
    worker = registered(database, "berta")
    completed(
        database,
        surely_claimed(database, worker),
        measurements={"error": {"mean": 0.35, "sem": 0.1}, "loss": 1.0},
    )
    completed(database, surely_claimed(database, worker))
    with database.read() as connection:
        front = read_front(connection, searched)
        trace = read_hypervolume(connection, searched)
        view = read_experiment(connection, searched)
    (point,) = front.front
    assert (point.trial_number, point.replicates) == (0, (1,))
    assert point.measurements["error"].mean == pytest.approx(0.3)  # one error was unknown
    assert [p.trial_number for p in trace.points] == [0, 1]
    assert trace.points[0].hypervolume == trace.points[1].hypervolume == front.hypervolume
    assert view.trial_counts["completed"] == 2  # budget is spent on repeats too


def test_repeats_do_not_make_a_search_stall(database: Database, clock: FakeClock) -> None:
    objectives = [
        {"metric": "error", "goal": "minimize", "threshold": 1.0},
        {"metric": "latency_ms", "goal": "minimize", "threshold": 10.0},
    ]
    spec = worker_spec(
        budget=20,
        stop_rules={"no_gain": 2},
        optimizer={"initial_trials": 1, "pool_size": 1},
        objectives=objectives,
    )
    experiment_id = created(database, spec)
    worker = registered(database)
    for one in (suggestion(1), replicate(1), replicate(1), replicate(1)):
        assert len(added(database, experiment_id, one)) == 1
        for _ in range(2):
            clock.advance(1)
            completed(database, surely_claimed(database, worker))
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).experiment.stopped_by is None
    for width in (2, 3):
        topped_up(database, experiment_id, width)
        for _ in range(2):
            clock.advance(1)
            completed(database, surely_claimed(database, worker))
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).experiment.stopped_by is not None


def test_the_invariants_see_a_repeat_of_nothing(database: Database, searched: str) -> None:
    (repeat,) = added(database, searched, replicate(1))
    topped_up(database, searched, 5)
    with database.write() as connection:
        for note, broken in (({"replicates": 2}, True), ({"replicates": 0}, False)):
            connection.execute(update(trials).where(trials.c.id == repeat.id).values(note=note))
            found = check_invariants(connection)
            assert ("I13 toy-search: trial 1 repeats no other trial's arm" in found) == broken


def test_arms_are_compared_in_their_one_spelling(database: Database, searched: str) -> None:
    odd = Arm(parameters={"pruned": True, "rate": 0.5, "width": 1})
    (repeat,) = added(
        database, searched, Suggestion(arm=odd, source="replicate", note={"why": "noise"})
    )
    assert repeat.arm == trial(database, searched, 0).arm


def test_a_repeat_in_the_pool_is_not_kept_as_anything_else(
    database: Database, searched: str
) -> None:
    added(database, searched, replicate(1))
    request_more = AttachRequest(
        parameters={"width": 50, "rate": 0.5, "pruned": True},
        measurements={"error": 0.5, "latency_ms": 4.0},
    )
    with database.write() as connection:
        attach_trial(connection, searched, request_more)
    change = renewed(database, searched, suggestion(1), suggestion(9))
    assert (change.kept, change.replaced) == ((), (1,))
    assert trial(database, searched, 1).arm.parameters["width"] == 9
