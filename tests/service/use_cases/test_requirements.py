"""Trainings go only to workers that have what their experiment requires."""

import pytest

from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.list_workers import list_workers
from service.use_cases.read_experiment import read_experiment
from tests.service.toy_experiments import (
    claimed,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)

REQUIRES = {"labels": {"site": "berlin"}, "at_least": {"gpu_memory_gib": 40}}
HAS = {"labels": {"site": "berlin"}, "resources": {"gpu_memory_gib": 79.6, "cores": 16}}


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


@pytest.mark.parametrize(
    "lacking",
    [
        {"labels": {}, "resources": {}},
        {"labels": {"site": "bonn"}},
        {"labels": {"site": "berlin", "gpu_memory_gib": "80"}, "resources": {}},
        {"resources": {"gpu_memory_gib": 24.0}},
        {"resources": {"site": 1.0, "gpu_memory_gib": 80.0}, "labels": {}},
    ],
)
def test_who_lacks_something_is_not_given_a_training(database: Database, lacking: dict) -> None:
    experiment_id = created(database, worker_spec(requires=REQUIRES))
    topped_up(database, experiment_id, 1)
    assert claimed(database, registered(database, "lacking", **HAS | lacking)) is None
    with database.read() as connection:
        explained = read_experiment(connection, experiment_id).explanation
    assert explained == (
        "No worker that can train toy@3 (requires site=berlin, gpu_memory_gib >= 40) is online."
    )
    assert surely_claimed(database, registered(database, "able", **HAS)).stage_kind == "train"


def test_a_measurement_needs_the_target_alone(database: Database) -> None:
    experiment_id = created(database, worker_spec(requires=REQUIRES))
    topped_up(database, experiment_id, 1)
    completed(database, surely_claimed(database, registered(database, "able", **HAS)))
    board = registered(database, "board", labels={}, resources={})
    assert surely_claimed(database, board).stage_kind == "measure"


def test_no_arm_is_made_for_a_worker_that_could_not_train_it(database: Database) -> None:
    spec = worker_spec(requires=REQUIRES, optimizer={"fallback_after_s": 0})
    created(database, spec)
    assert claimed(database, registered(database, "lacking")) is None
    with database.read() as connection:
        assert read_experiment(connection, "toy-search").experiment.trials_created == 0
    assert claimed(database, registered(database, "able", **HAS)) is not None


def test_experiments_do_not_mix_their_requirements(database: Database) -> None:
    modest = created(database, worker_spec(name="modest"))
    greedy = created(database, worker_spec(name="greedy", requires=REQUIRES))
    for experiment_id in (modest, greedy):
        topped_up(database, experiment_id, 1)
    small = registered(database, "small")
    assert surely_claimed(database, small).experiment_name == "modest"
    assert claimed(database, small) is None


def test_the_fleet_shows_what_a_worker_has(database: Database) -> None:
    registered(database, **HAS)
    with database.read() as connection:
        (worker,) = list_workers(connection)
    assert worker.resources == HAS["resources"]
