"""A worker that asks while the pool is empty gets a quasi-random arm at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.domain.errors import BudgetExhausted, NoCandidateReady
from service.domain.trial import Trial
from service.optimizer.optimizer import find_optimizer
from service.schemas.leases import LeaseGrant
from service.schemas.trials import AskReply, AskRequest
from service.storage.database import Database
from service.storage.events import events_after
from service.storage.experiments import find_experiment
from service.storage.invariants import check_invariants
from service.storage.trials import trials_of_experiment
from service.use_cases.ask_trial import ask_trial
from service.use_cases.steer_experiment import pause
from service.use_cases.top_up_candidates import note_space_exhausted, suggestion_request
from tests.service.toy_experiments import (
    claimed,
    completed,
    created,
    external_spec,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)


def at_once(**settings: Any) -> dict[str, Any]:
    return {"fallback_after_s": 0, "initial_trials": 2} | settings


def trials(database: Database, experiment_id: str) -> list[Trial]:
    with database.read() as connection:
        assert check_invariants(connection) == []
        return trials_of_experiment(connection, experiment_id)


def asked(database: Database, experiment_id: str) -> AskReply:
    with database.write() as connection:
        return ask_trial(connection, experiment_id, AskRequest(), None)


def test_the_initial_arms_come_first_as_the_suggester_would_draw_them(database: Database) -> None:
    experiment_id = created(database, worker_spec(optimizer=at_once(), seed=7))
    with database.read() as connection:
        request = suggestion_request(connection, experiment_id)
    assert request is not None
    drawn = find_optimizer("auto").suggest(request.model_copy(update={"count": 2}))
    worker = registered(database)
    for _ in range(3):
        surely_claimed(database, worker)
    found = trials(database, experiment_id)
    assert [trial.arm for trial in found[:2]] == [one.arm for one in drawn]
    assert [trial.note for trial in found[:2]] == [one.note for one in drawn]
    assert [trial.source for trial in found] == ["sobol", "sobol", "fallback"]


def test_a_stand_in_for_the_model_is_marked_and_recorded(database: Database) -> None:
    experiment_id = created(database, worker_spec(optimizer=at_once(initial_trials=1)))
    worker = registered(database)
    topped_up(database, experiment_id, 1)
    assert surely_claimed(database, worker).arm.parameters["width"] == 1
    grant = surely_claimed(database, worker)
    (_, stand_in) = trials(database, experiment_id)
    assert grant.trial_number == stand_in.number == 1
    assert stand_in.source == "fallback"
    assert "no candidate was ready" in stand_in.note["why"].lower()
    with database.read() as connection:
        events = [e for e in events_after(connection, 0, limit=99) if "fallback" in e.kind]
    assert [(event.trial_number, event.data) for event in events] == [(1, stand_in.note)]


@pytest.mark.parametrize("strategy", ["sobol", "random"])
def test_a_strategy_without_a_model_gives_its_own_arms(database: Database, strategy: str) -> None:
    experiment_id = created(database, worker_spec(optimizer=at_once(strategy=strategy)))
    worker = registered(database)
    for _ in range(3):
        surely_claimed(database, worker)
    assert {trial.source for trial in trials(database, experiment_id)} == {strategy}


def test_budget_and_parallelism_are_kept(database: Database) -> None:
    spec = worker_spec(optimizer=at_once(), budget=4, max_parallel=3)
    experiment_id = created(database, spec)
    worker = registered(database, slots=9)
    grants = [surely_claimed(database, worker) for _ in range(3)]
    assert claimed(database, worker) is None
    completed(database, grants[0])
    completed(database, surely_claimed(database, worker))
    surely_claimed(database, worker)
    assert claimed(database, worker) is None
    assert len(trials(database, experiment_id)) == 4


def test_whoever_prefers_to_wait_gets_nothing(database: Database) -> None:
    created(database, worker_spec(optimizer=at_once(fallback_after_s=60)))
    experiment_id = created(database, external_spec(optimizer=at_once(fallback_after_s=60)))
    assert claimed(database, registered(database)) is None
    with pytest.raises(NoCandidateReady):
        asked(database, experiment_id)


def test_only_a_running_search_with_new_arms_gives_any(database: Database) -> None:
    paused = created(database, worker_spec(optimizer=at_once()))
    with database.write() as connection:
        pause(connection, paused)
    worker = registered(database)
    assert claimed(database, worker) is None
    exhausted = created(database, worker_spec(name="exhausted", optimizer=at_once()))
    with database.write() as connection:
        note_space_exhausted(connection, exhausted)
    assert claimed(database, worker) is None


@pytest.mark.parametrize(
    "worker",
    [
        {"stages": ["measure"]},
        {"search_spaces": [{"name": "toy", "version": 4}]},
    ],
)
def test_a_worker_that_cannot_begin_makes_no_trial(
    database: Database, worker: dict[str, Any]
) -> None:
    experiment_id = created(database, worker_spec(optimizer=at_once()))
    assert claimed(database, registered(database, **worker)) is None
    assert trials(database, experiment_id) == []


def test_a_measuring_host_does_not_measure_a_whole_budget_ahead(database: Database) -> None:
    spec = worker_spec(search_space="quick-toy", budget=9, optimizer=at_once())
    experiment_id = created(database, spec)
    here = {"search_spaces": [{"name": "quick-toy", "version": 3}]}
    host = registered(database, "host", stages=["measure"], **here)
    grant = surely_claimed(database, host)
    assert grant.stage_kind == "measure"
    assert claimed(database, host) is None  # its device is busy
    completed(database, grant)
    assert claimed(database, host) is None  # one trial awaits its training already
    trainer = registered(database, "trainer", stages=["train"], **here)
    assert surely_claimed(database, trainer).trial_number == 0
    assert claimed(database, trainer) is None  # a measurement comes first
    assert surely_claimed(database, host).trial_number == 1
    assert len(trials(database, experiment_id)) == 2


def test_nobody_waits_for_the_measurements_of_others(database: Database) -> None:
    spec = worker_spec(search_space="quick-toy", budget=9, max_parallel=9, optimizer=at_once())
    experiment_id = created(database, spec)
    here = {"search_spaces": [{"name": "quick-toy", "version": 3}]}
    workers = [registered(database, f"worker-{index}", **here) for index in range(5)]
    assert [surely_claimed(database, worker).trial_number for worker in workers] == [0, 1, 2, 3, 4]
    assert len(trials(database, experiment_id)) == 5


def test_ask_gives_one_too_until_the_budget_is_spent(database: Database) -> None:
    spec = external_spec(optimizer=at_once(), budget=3, max_parallel=2)
    experiment_id = created(database, spec)
    assert [asked(database, experiment_id).trial.number for _ in range(2)] == [0, 1]
    with pytest.raises(NoCandidateReady, match="max_parallel"):
        asked(database, experiment_id)
    with database.read() as connection:
        assert find_experiment(connection, experiment_id).trials_created == 2
    other = created(database, external_spec(name="b", optimizer=at_once(), budget=1))
    asked(database, other)
    with pytest.raises(BudgetExhausted):
        asked(database, other)


def test_a_small_space_gives_each_arm_once_and_then_none(database: Database) -> None:
    parameters = [{"type": "int", "name": "width", "low": 1, "high": 4}]
    spec = external_spec(parameters=parameters, optimizer=at_once(), budget=9, max_parallel=9)
    experiment_id = created(database, spec)
    widths = [asked(database, experiment_id).trial.arm.parameters["width"] for _ in range(4)]
    assert sorted(widths) == [1, 2, 3, 4]
    with pytest.raises(NoCandidateReady, match="Ask again"):
        asked(database, experiment_id)
    assert len(trials(database, experiment_id)) == 4


def test_many_that_ask_at_once_share_nothing(database: Database) -> None:
    spec = worker_spec(optimizer=at_once(), budget=12, max_parallel=10)
    experiment_id = created(database, spec)
    workers = [registered(database, f"worker-{index}") for index in range(16)]

    def claim(worker_id: str) -> LeaseGrant | None:
        return claimed(database, worker_id)

    with ThreadPoolExecutor(16) as pool:
        grants = [grant for grant in pool.map(claim, workers) if grant is not None]
    found = trials(database, experiment_id)
    assert len(grants) == len(found) == 10
    assert len({grant.trial_number for grant in grants}) == 10
    assert len({trial.arm.signature for trial in found}) == 10


def test_the_process_that_serves_claims_loads_no_model() -> None:
    code = (
        "import sys, service.use_cases.lease_trial as lease; early = 'scipy' in sys.modules; "
        "from service.use_cases.instant_candidate import warm_up; warm_up(); "
        "print(early, 'scipy' in sys.modules, [m for m in ('torch', 'ax') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split(maxsplit=2) == ["False", "True", "[]\n"]
