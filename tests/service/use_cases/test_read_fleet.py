"""Who is there, what is measured where, what waits and why."""

from datetime import timedelta

from sqlalchemy import update

from service.schemas.fleet import FleetView
from service.storage.clock import database_now
from service.storage.database import Database
from service.storage.tables import stages, workers
from service.use_cases.read_fleet import read_fleet
from tests.service.offered_targets import offered
from tests.service.toy_experiments import (
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)


def fleet_of(database: Database) -> FleetView:
    with database.read() as connection:
        return read_fleet(connection)


def test_an_empty_fleet_is_one(database: Database) -> None:
    fleet = fleet_of(database)
    assert (fleet.workers, fleet.devices, fleet.waiting) == ((), (), ())


def test_a_device_tells_its_targets_workers_and_what_is_measured_there(database: Database) -> None:
    created_id = created(database, worker_spec())
    topped_up(database, created_id, 1)
    registered(database, "one", targets=[offered(device="board")])
    two = registered(
        database, "two", targets=[offered(device="board"), offered("rpi5", device="board")]
    )
    completed(database, surely_claimed(database, two))
    (device,) = fleet_of(database).devices
    assert (device.name, device.targets, device.workers) == (
        "board",
        ("rpi5", "this-host"),
        ("one", "two"),
    )
    assert device.runtimes == {"onnxruntime": "1.32.0"}
    assert device.in_use is None
    grant = surely_claimed(database, two)
    (device,) = fleet_of(database).devices
    assert device.in_use is not None
    assert (device.in_use.experiment, device.in_use.trial_number) == ("toy-search", 0)
    assert (device.in_use.stage, device.in_use.worker) == (grant.stage, "two")


def test_what_waits_is_counted_with_the_age_of_the_oldest_begun(database: Database) -> None:
    experiment_id = created(database, worker_spec(max_parallel=6, optimizer={"pool_size": 4}))
    topped_up(database, experiment_id, 1, 2, 3)
    worker = registered(database, slots=1)
    completed(database, surely_claimed(database, worker))
    with database.write() as connection:
        ago = database_now(connection) - timedelta(seconds=90)
        connection.execute(update(stages).values(ready_at=ago))
    train, measure = sorted(fleet_of(database).waiting, key=lambda one: one.stage, reverse=True)
    assert (train.stage, train.begun, train.candidates) == ("train", 0, 2)
    assert (train.oldest_wait_s, train.unmet) == (None, None)  # a pool is there to wait
    assert (measure.stage, measure.begun, measure.candidates) == ("measure", 1, 0)
    assert measure.oldest_wait_s is not None
    assert 90 <= measure.oldest_wait_s < 150


def test_a_stage_waits_from_when_it_became_ready(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    worker = registered(database)
    grant = surely_claimed(database, worker)
    with database.write() as connection:  # it was a candidate for long
        ago = database_now(connection) - timedelta(seconds=900)
        connection.execute(update(stages).values(ready_at=ago))
    completed(database, grant)
    (measure,) = fleet_of(database).waiting
    assert measure.oldest_wait_s is not None
    assert measure.oldest_wait_s < 60


def test_what_nobody_can_take_says_why(database: Database) -> None:
    spec = worker_spec(
        targets=["rpi5"], objectives=[{"metric": "latency_ms@rpi5", "goal": "minimize"}]
    )
    experiment_id = created(database, spec)
    topped_up(database, experiment_id, 1, 2)
    worker = registered(database, stages=["train"])
    completed(database, surely_claimed(database, worker))
    train, measure = sorted(fleet_of(database).waiting, key=lambda one: one.stage, reverse=True)
    assert train.unmet is None
    assert measure.unmet == "No worker that can measure toy@3 with onnxruntime on rpi5 is online."
    with database.write() as connection:
        connection.execute(update(workers).values(status="draining"))
    assert {one.unmet for one in fleet_of(database).waiting} == {
        "No worker that can train toy@3 is online.",
        measure.unmet,
    }
    assert all(one.oldest_wait_s is not None for one in fleet_of(database).waiting)


def test_what_may_not_start_does_not_wait(database: Database) -> None:
    experiment_id = created(database, worker_spec(max_parallel=1))
    topped_up(database, experiment_id, 1, 2)
    surely_claimed(database, registered(database))
    assert fleet_of(database).waiting == ()
