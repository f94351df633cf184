"""Metrics that are measured only where an experiment asks for them."""

import pytest

from service.domain.errors import InvalidRequest, MeasurementMissing
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.list_devices import list_devices
from service.use_cases.list_trials import all_trials
from service.use_cases.read_experiment import read_experiment
from service.use_cases.read_fleet import read_fleet
from service.use_cases.resolve_experiment import resolve_experiment
from service.use_cases.resolve_runtimes import resolve_runtimes
from tests.service.offered_targets import offered
from tests.service.toy_experiments import (
    BOTH_TOY_SPACES,
    REGISTRY,
    claimed,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)

COUNTING = ["instruction_count"]


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


def counting_spec(**changes):
    given = {
        "objectives": [
            {"metric": "error", "goal": "minimize"},
            {"metric": "instruction_count", "goal": "minimize"},
        ]
    }
    return worker_spec(**given | changes)


def trained(database: Database, spec) -> str:
    """The id of an experiment whose one trial is trained, and waits to be measured."""
    experiment_id = created(database, spec)
    topped_up(database, experiment_id, 1)
    completed(database, surely_claimed(database, registered(database, "t", stages=["train"])))
    return experiment_id


def counting(database: Database, name: str = "counting", metrics=COUNTING, **changes) -> str:
    """A worker whose own host gives the metrics."""
    return registered(database, name, targets=[offered(metrics=metrics, device=name)], **changes)


def unmet(database: Database) -> dict[str, str | None]:
    with database.read() as connection:
        return {one.stage: one.unmet for one in read_fleet(connection).waiting}


def test_an_experiment_has_an_optional_metric_only_if_it_names_it() -> None:
    plain = resolve_experiment(worker_spec(), REGISTRY)
    assert not {"instruction_count", "energy_mj"} & {metric.name for metric in plain.metrics}
    assert "off_chip_bytes" in {metric.name for metric in plain.metrics}
    spec = counting_spec(
        targets=["this-host", "rpi5"], outcome_constraints=["energy_mj@rpi5 <= 50"]
    )
    asked = {metric.name: metric for metric in resolve_experiment(spec, REGISTRY).metrics}
    assert asked["instruction_count"].target == "this-host"
    assert (asked["energy_mj@rpi5"].unit, asked["energy_mj@rpi5"].target) == ("mJ", "rpi5")
    assert not {"instruction_count@rpi5", "energy_mj"} & asked.keys()
    assert spec.asked_on("rpi5") == ("energy_mj",)


def test_its_measurement_goes_to_a_worker_that_offers_it(database: Database) -> None:
    experiment_id = trained(database, counting_spec())
    assert claimed(database, registered(database, "plain")) is None
    assert claimed(database, counting(database, "other", ["energy_mj"])) is None
    grant = surely_claimed(database, counting(database))
    assert "instruction_count" in grant.metrics
    assert "energy_mj" not in grant.metrics
    with pytest.raises(MeasurementMissing, match="instruction_count not reported"):
        completed(database, grant)
    measured = {"instruction_count": {"mean": 5e6, "sem": 12.0, "n": 3}}
    assert completed(database, grant, measurements=measured).trial_status == "completed"
    with database.read() as connection:
        (trial,) = all_trials(connection, experiment_id)
    assert trial.measurements["instruction_count"].unit == "instructions"


def test_who_asks_for_none_is_measured_anywhere(database: Database) -> None:
    trained(database, worker_spec())
    grant = surely_claimed(database, counting(database))
    assert not {"instruction_count", "energy_mj"} & set(grant.metrics)


def test_a_worker_is_given_what_else_there_is(database: Database) -> None:
    """The trainings of the same experiment, and the measurements of another."""
    experiment_id = trained(database, counting_spec())
    plain = registered(database, "plain")
    topped_up(database, experiment_id, 2)
    assert surely_claimed(database, plain).stage_kind == "train"
    trained(database, worker_spec(name="modest"))
    grant = surely_claimed(database, plain)
    assert (grant.experiment_name, grant.stage) == ("modest", "measure")


def test_each_target_is_asked_for_its_own(database: Database) -> None:
    objectives = [
        {"metric": "instruction_count", "goal": "minimize"},
        {"metric": "latency_ms@rpi5", "goal": "minimize"},
    ]
    trained(database, worker_spec(objectives=objectives, targets=["rpi5", "this-host"]))
    worker = registered(
        database, targets=[offered("rpi5", device="board"), offered(metrics=COUNTING)]
    )
    board = surely_claimed(database, worker)
    assert board.target == "rpi5"
    assert not [name for name in board.metrics if name.startswith("instruction_count")]
    completed(database, board)
    assert "instruction_count" in surely_claimed(database, worker).metrics


def test_no_arm_is_made_for_a_worker_that_could_not_measure_it(database: Database) -> None:
    changes = {"search_space": "quick-toy", "optimizer": {"fallback_after_s": 0}}
    experiment_id = created(database, counting_spec(**changes))
    assert claimed(database, registered(database, search_spaces=BOTH_TOY_SPACES)) is None
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).experiment.trials_created == 0
    able = counting(database, search_spaces=BOTH_TOY_SPACES)
    assert surely_claimed(database, able).stage_kind == "measure"


def test_what_waits_for_nobody_says_what_to_install(database: Database) -> None:
    experiment_id = trained(database, counting_spec())
    assert unmet(database)["measure"] == (
        "No worker that can measure toy@3 with onnxruntime on its own host is online."
    )
    registered(database, "plain")
    why = unmet(database)["measure"]
    assert why == (
        "No worker online that can measure toy@3 with onnxruntime on its own host gives "
        "instruction_count there: install valgrind and a C compiler on the worker, on whose own "
        "host alone instructions are counted, and start it again."
    )
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).explanation == why
    counting(database)
    assert unmet(database)["measure"] is None


def test_every_metric_that_is_lacking_is_told(database: Database) -> None:
    trained(database, counting_spec(outcome_constraints=["energy_mj <= 50"]))
    counting(database)
    why = unmet(database)["measure"]
    assert why is not None
    assert " gives energy_mj there: let the worker read a counter of energy" in why
    counting(database, "powered", ["energy_mj"])
    assert " gives instruction_count and energy_mj there: " in (unmet(database)["measure"] or "")
    counting(database, "both", ["energy_mj", "instruction_count"])
    assert unmet(database)["measure"] is None


def test_the_fleet_shows_what_a_device_can_give(database: Database) -> None:
    counting(database)
    with database.read() as connection:
        (device,) = list_devices(connection)
    assert device.metrics == ("instruction_count",)


def test_the_runtime_is_one_whose_instructions_can_be_counted(database: Database) -> None:
    # torch_eager in bf16 is dearer than openvino, and would be chosen where that is not offered.
    everything = offered(runtimes=["torch_eager", "onnxruntime", "openvino"], metrics=COUNTING)
    registered(database, targets=[everything])
    registered(database, "quick", targets=[offered(runtimes=["torch_eager"], device="quick")])
    with database.read() as connection:
        spec = resolve_runtimes(connection, counting_spec())
        assert spec.measurement.runtime == "openvino"
        named = counting_spec(measurement={"runtime": "torch_eager"})
        with pytest.raises(InvalidRequest, match=r"cannot be counted .* 'torch_eager'") as refused:
            resolve_runtimes(connection, named)
    assert refused.value.field == "targets.0.runtime"
    assert "ncnn, onnxruntime, openvino" in (refused.value.remedy or "")
