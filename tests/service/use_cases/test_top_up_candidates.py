import pytest
from sqlalchemy import event

from search_spaces.arm import Arm
from service.domain.trial_seed import trial_seed
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.schemas.leases import FailRequest, InfeasibleRequest
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.candidate_pool import pools_in_need
from service.use_cases.record_report import record_failure, record_infeasible
from service.use_cases.steer_experiment import pause, raise_budget
from service.use_cases.stop_trial import stop_trial
from service.use_cases.top_up_candidates import (
    add_candidates,
    suggestion_request,
)
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    TOY_SPACE,
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


def wanted(database: Database, experiment_id: str) -> SuggestRequest | None:
    with database.read() as connection:
        needing = [need.experiment_id for need in pools_in_need(connection)]
        request = suggestion_request(connection, experiment_id)
    assert (request is not None) == (experiment_id in needing)
    return request


def count_wanted(database: Database, experiment_id: str) -> int:
    request = wanted(database, experiment_id)
    return 0 if request is None else request.count


def test_a_large_pool_is_filled_by_eighths_to_the_end_of_the_budget(database: Database) -> None:
    spec = worker_spec(budget=20, max_parallel=20)
    optimizer = spec.optimizer.model_copy(update={"pool_size": 16})
    experiment_id = created(database, spec.model_copy(update={"optimizer": optimizer}))
    worker = registered(database, slots=20)
    assert count_wanted(database, experiment_id) == 16
    topped_up(database, experiment_id, *range(1, 17))
    told = []
    for _ in range(3):
        surely_claimed(database, worker)
        told.append(count_wanted(database, experiment_id))
    assert told == [0, 2, 3]
    assert len(topped_up(database, experiment_id, *range(21, 24))) == 3
    surely_claimed(database, worker)
    surely_claimed(database, worker)
    assert count_wanted(database, experiment_id) == 1  # all that the budget has left


def test_many_candidates_take_as_many_statements_as_one(database: Database) -> None:
    spec = worker_spec(budget=20)
    optimizer = spec.optimizer.model_copy(update={"pool_size": 16})
    experiment_id = created(database, spec.model_copy(update={"optimizer": optimizer}))

    def statements_for(widths: list[int]) -> int:
        statements = []
        with database.write() as connection:
            event.listen(connection, "before_cursor_execute", lambda *_: statements.append(1))
            added = add_candidates(connection, experiment_id, [suggestion(w) for w in widths])
        assert len(added) == len(widths)
        return len(statements)

    assert statements_for([1]) == statements_for(list(range(2, 14)))


def test_the_pool_follows_the_busy_slots(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=20, max_parallel=9))
    worker = registered(database, slots=9)
    assert count_wanted(database, experiment_id) == 2
    for busy in range(5):
        topped_up(database, experiment_id, *range(10 * busy + 1, 10 * busy + 9))
        surely_claimed(database, worker)
    # Four were busy when it was filled last, and one of its four candidates was taken since.
    assert count_wanted(database, experiment_id) == 5 - 3
    assert len(topped_up(database, experiment_id, *range(91, 99))) == 2
    assert count_wanted(database, experiment_id) == 0


def test_the_pool_never_exceeds_the_budget(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=3, optimizer={"pool_size": 100}))
    assert count_wanted(database, experiment_id) == 3
    assert topped_up(database, experiment_id, *range(1, 9)) == [0, 1, 2]
    assert topped_up(database, experiment_id, 99) == []
    with database.write() as connection:
        raise_budget(connection, experiment_id, 5)
    assert count_wanted(database, experiment_id) == 2


def test_an_arm_is_not_tried_twice(database: Database) -> None:
    experiment_id = created(database, worker_spec(optimizer={"pool_size": 9}))
    assert topped_up(database, experiment_id, 1, 1, 2) == [0, 1]
    assert topped_up(database, experiment_id, 2, 1, 3) == [2]


def test_an_arm_is_kept_in_its_one_spelling(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    odd = Arm(parameters={"pruned": False, "rate": 1, "width": 3.0})
    with database.write() as connection:
        (trial,) = add_candidates(connection, experiment_id, [Suggestion(arm=odd, source="ax")])
    assert repr(trial.arm.parameters) == "{'width': 3, 'rate': 1.0, 'pruned': False}"
    again = Arm(parameters={"width": 3, "rate": 1.0, "pruned": False})
    with database.write() as connection:
        some = [Suggestion(arm=again, source="ax")]
        assert add_candidates(connection, experiment_id, some) == []


def test_only_a_running_experiment_wants_candidates(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    with database.write() as connection:
        pause(connection, experiment_id)
    assert wanted(database, experiment_id) is None
    assert topped_up(database, experiment_id, 1) == []


def test_the_request_tells_the_whole_history(database: Database, clock: FakeClock) -> None:
    spec = worker_spec(budget=9, seed=5, max_parallel=9, optimizer={"pool_size": 7})
    experiment_id = created(database, spec)
    worker = registered(database, slots=9)
    topped_up(database, experiment_id, *range(1, 7))
    grants = [surely_claimed(database, worker) for _ in range(5)]
    completed(database, grants[1])
    clock.advance(1)
    completed(database, surely_claimed(database, worker))
    clock.advance(1)
    with database.write() as connection:
        arm_fault = InfeasibleRequest(epoch=1, reason="diverged")
        record_infeasible(connection, grants[0].lease_id, arm_fault)
        recipe_fault = FailRequest(epoch=1, fault="recipe", message="broke")
        record_failure(connection, grants[2].lease_id, recipe_fault)
        stop_trial(connection, experiment_id, 5, "no")
    request = wanted(database, experiment_id)
    assert request is not None
    assert request.space == TOY_SPACE.space
    assert [(o.arm.parameters["width"], o.status) for o in request.observations] == [
        (2, "completed"),
        (1, "infeasible"),
    ]
    assert request.observations[0].measurements["latency_ms"].mean == 4.0
    assert [arm.parameters["width"] for arm in request.pending] == [4, 5]
    assert [arm.parameters["width"] for arm in request.excluded] == [3, 6]
    assert (request.seed, request.budget_trials, request.initial_trials) == (5, 9, 4)
    assert request.count == 3
    assert wanted(database, experiment_id) == request
    with database.read() as connection:
        assert check_invariants(connection) == []


def test_suggestions_carry_their_source_and_note(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    noted = suggestion(1).model_copy(update={"source": "fallback", "note": {"late_s": 1.0}})
    with database.write() as connection:
        (trial,) = add_candidates(connection, experiment_id, [noted])
    assert (trial.source, repr(trial.note)) == ("fallback", "{'late_s': 1.0}")


def test_seeds_differ_between_trials_and_experiments_and_never_change() -> None:
    seeds = {trial_seed(e, t) for e in range(20) for t in range(200)}
    assert len(seeds) > 3990
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert (trial_seed(0, 0), trial_seed(7, 3)) == (1453922315, 1989787420)
