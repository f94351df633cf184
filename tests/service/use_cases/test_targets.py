"""Experiments that measure every network on several devices."""

import pytest
from pydantic import ValidationError

from service.domain.errors import MeasurementMissing
from service.schemas.leases import FailRequest
from service.schemas.workers import WorkerRegistration
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.list_trials import all_trials
from service.use_cases.read_experiment import read_experiment
from service.use_cases.record_report import record_failure
from tests.service.offered_targets import offered
from tests.service.toy_experiments import (
    BOTH_TOY_SPACES,
    claimed,
    completed,
    created,
    registered,
    registration,
    surely_claimed,
    topped_up,
    worker_spec,
)

BOTH = [
    {"metric": "error", "goal": "minimize"},
    {"metric": "latency_ms", "goal": "minimize"},
    {"metric": "latency_ms@rpi5", "goal": "minimize"},
]
HOST_AND_BOARD = [offered(device="laptop"), offered("rpi5", device="board")]


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


def two_targets(**changes):
    given = {"targets": ["rpi5", "this-host"], "objectives": BOTH, "measurement": {"threads": 2}}
    return worker_spec(**given | changes)


def trained(database: Database, *widths: int, **changes) -> str:
    """The id of an experiment whose trials are trained, and wait to be measured."""
    experiment_id = created(database, two_targets(**changes))
    topped_up(database, experiment_id, *widths)
    trainer = registered(database, "trainer", stages=["train"])
    for _ in widths:
        completed(database, surely_claimed(database, trainer))
    return experiment_id


def explanation(database: Database, experiment_id: str) -> str:
    with database.read() as connection:
        return read_experiment(connection, experiment_id).explanation


def test_a_trial_is_measured_on_one_target_after_the_other(database: Database) -> None:
    experiment_id = trained(database, 1)
    worker = registered(database, targets=HOST_AND_BOARD)
    first = surely_claimed(database, worker)
    assert (first.stage, first.target) == ("measure@rpi5", "rpi5")
    assert {"latency_ms@rpi5", "export_s@rpi5", "macs", "weight_count"} <= set(first.metrics)
    assert "latency_ms" not in first.metrics
    assert completed(database, first).trial_status == "running"
    second = surely_claimed(database, worker)
    assert (second.stage, second.target) == ("measure", "this-host")
    assert "latency_ms" in second.metrics
    assert not {"macs", "weight_count", "latency_ms@rpi5"} & set(second.metrics)
    assert completed(database, second).trial_status == "completed"
    with database.read() as connection:
        (trial,) = all_trials(connection, experiment_id)
    assert trial.measurements.keys() == {"error", "loss", "latency_ms", "latency_ms@rpi5"}


def test_a_target_says_what_differs_there(database: Database) -> None:
    board = {"name": "rpi5", "runtime": "executorch", "threads": 4}
    trained(database, 1, targets=[board, "this-host"])
    offers = [offered("rpi5", runtimes=["executorch"]), offered(device="laptop")]
    worker = registered(database, targets=offers)
    on_board = surely_claimed(database, worker)
    assert (on_board.measurement.runtime, on_board.measurement.threads) == ("executorch", 4)
    completed(database, on_board)
    here = surely_claimed(database, worker)
    assert (here.measurement.runtime, here.measurement.threads) == ("onnxruntime", 2)


def test_every_measurement_reports_what_is_needed_of_its_own_target(database: Database) -> None:
    trained(database, 1)
    grant = surely_claimed(database, registered(database, targets=HOST_AND_BOARD))
    with pytest.raises(MeasurementMissing, match="latency_ms@rpi5 not reported"):
        completed(database, grant, measurements={"macs": 5.0})


def test_a_device_in_use_does_not_keep_a_worker_from_another(database: Database) -> None:
    trained(database, 1, 2)
    worker = registered(database, targets=HOST_AND_BOARD)
    on_board = surely_claimed(database, worker)
    assert on_board.target == "rpi5"
    assert claimed(database, worker) is None  # the other trial needs the board first, too
    completed(database, on_board)
    assert {surely_claimed(database, worker).target for _ in range(2)} == {"rpi5", "this-host"}
    assert claimed(database, worker) is None


def test_two_workers_never_measure_on_one_board(database: Database) -> None:
    trained(database, 1, 2)
    one = registered(database, "one", targets=[offered("rpi5", device="board")])
    two = registered(database, "two", targets=[offered("rpi5", device="board")])
    held = surely_claimed(database, one)
    assert claimed(database, two) is None
    completed(database, held)
    assert surely_claimed(database, two).target == "rpi5"


def test_one_device_reached_under_two_targets_is_measured_on_once_at_a_time(
    database: Database,
) -> None:
    """As where a host also reaches itself by SSH."""
    trained(database, 1, 2)
    here = registered(database, "here", targets=[offered(device="box")])
    beside = registered(database, "beside", targets=[offered("rpi5", device="box")])
    held = surely_claimed(database, beside)
    assert claimed(database, here) is None
    assert claimed(database, beside) is None
    completed(database, held)
    assert surely_claimed(database, here).target == "this-host"
    assert claimed(database, beside) is None


def test_an_arm_that_misses_a_bound_on_one_target_is_not_measured_on_the_next(
    database: Database,
) -> None:
    spec = two_targets(
        search_space="quick-toy", outcome_constraints=["latency_ms@rpi5 <= 20"], budget=1
    )
    experiment_id = created(database, spec)
    topped_up(database, experiment_id, 5)
    worker = registered(database, search_spaces=BOTH_TOY_SPACES, targets=HOST_AND_BOARD)
    grant = surely_claimed(database, worker)
    missed = {"latency_ms@rpi5": {"mean": 31.2, "sem": 0.3}}
    assert completed(database, grant, measurements=missed).trial_status == "infeasible"
    with database.read() as connection:
        (trial,) = all_trials(connection, experiment_id)
    assert trial.reason == "latency_ms@rpi5 31.2 ± 0.3 exceeds the bound 20: not trained"
    assert [stage.status for stage in trial.stages] == ["completed", "cancelled", "cancelled"]


@pytest.mark.parametrize(
    "unlike",
    [{"processor": "Cortex-A55"}, {"version": "1.33.0"}, {"governor": "ondemand"}],
)
def test_figures_of_unlike_devices_never_meet(database: Database, unlike: dict) -> None:
    experiment_id = trained(database, 1, 2)
    first = registered(database, "first", targets=[offered("rpi5", device="board-1")])
    completed(database, surely_claimed(database, first))
    other = registered(database, "other", targets=[offered("rpi5", device="board-2", **unlike)])
    assert claimed(database, other) is None
    alike = registered(database, "alike", targets=[offered("rpi5", device="board-3")])
    assert surely_claimed(database, alike).target == "rpi5"
    with database.write() as connection:  # only the unlike one is left
        for name in ("first", "alike"):
            connection.exec_driver_sql(f"UPDATE workers SET status='stopped' WHERE name='{name}'")
    assert "No worker online measures on a rpi5 like board-1 in onnxruntime 1.32.0" in explanation(
        database, experiment_id
    )


def test_a_device_that_failed_at_once_keeps_no_other_out(database: Database) -> None:
    trained(database, 1)
    broken = registered(database, "broken", targets=[offered("rpi5", device="board-1", cores=2)])
    grant = surely_claimed(database, broken)
    other = registered(database, "other", targets=[offered("rpi5", device="board-2")])
    assert claimed(database, other) is None
    with database.write() as connection:
        failed = FailRequest(epoch=grant.epoch, fault="machine", message="the board is gone")
        record_failure(connection, grant.lease_id, failed)
    assert surely_claimed(database, other).target == "rpi5"


def test_a_target_without_a_worker_is_named(database: Database) -> None:
    experiment_id = trained(database, 1)
    registered(database, "trainer-2", targets=[offered()])
    assert explanation(database, experiment_id) == (
        "No worker that can measure toy@3 with onnxruntime on rpi5 is online."
    )


def test_a_worker_offers_each_target_once() -> None:
    with pytest.raises(ValidationError, match="targets names rpi5 twice; list each of them once"):
        registration(targets=[offered("rpi5"), offered("rpi5", device="other")])
    assert isinstance(registration(), WorkerRegistration)
