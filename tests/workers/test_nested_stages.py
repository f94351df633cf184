"""Arms that differ in an evaluation parameter alone are measured on one trained network."""

import importlib

import pytest
import torch

from search_spaces import registry
from search_spaces.metric import MEASURED_METRICS
from tests.workers.grants import make_grant
from workers.stage import perform
from workers.stage_order import StageOrder
from workers.stage_result import StageCompleted, StageFailed

QUICK = {"min_pairs": 16, "relative_ci": 0.5, "time_limit_s": 1.0}


MEASURED = tuple(metric.name for metric in MEASURED_METRICS)


@pytest.fixture(autouse=True)
def installed(stranger_package, monkeypatch):
    monkeypatch.syspath_prepend(str(stranger_package))
    importlib.invalidate_caches()
    registry.installed_registry.cache_clear()
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    registry.installed_registry.cache_clear()


@pytest.fixture
def order(tmp_path):
    def make(kind, gate, weights=None):
        made = StageOrder(
            grant=make_grant(
                stage=kind,
                stage_kind=kind,
                measurement=QUICK,
                metrics=("error", *MEASURED),
                search_space={"name": "tiny-nested", "version": 1},
                arm={"parameters": {"width": 16, "steps": 300, "gate": gate}},
            ),
            work_folder=tmp_path / f"{kind}-{gate}",
            cache_folder=tmp_path / "cache",
        )
        made.folder.create()
        if weights is not None:
            (made.folder.inputs / weights.name).write_bytes(weights.read_bytes())
        return made

    return make


def test_training_does_not_depend_on_an_evaluation_parameter(order):
    one, other = perform(order("train", 0.0)), perform(order("train", 0.7))
    assert isinstance(one, StageCompleted), one
    assert one.measurements.keys() == {"loss", "nonzero_weight_count"}
    assert one.measurements["loss"].mean == other.measurements["loss"].mean
    assert one.files[0].path.read_bytes() == other.files[0].path.read_bytes()


def test_one_checkpoint_is_evaluated_under_each_value(order):
    weights = perform(order("train", 0.0)).files[0].path
    errors = {}
    for gate in (0.0, 0.4, 1.0):
        measured = perform(order("measure", gate, weights))
        assert isinstance(measured, StageCompleted), measured
        assert measured.measurements.keys() == {
            "error",
            *MEASURED,
        }
        errors[gate] = measured.measurements["error"].mean
    assert errors[0.0] < errors[0.4] < errors[1.0]


def test_a_recipe_that_does_not_evaluate_what_it_declares_is_at_fault(order, monkeypatch):
    weights = perform(order("train", 0.0)).files[0].path
    module = importlib.import_module("tiny_nested_space")
    methods = {"build", "example_inputs", "train"}
    incomplete = {name: getattr(module.TinyNestedRecipe, name) for name in methods}
    monkeypatch.setattr(module, "TinyNestedRecipe", type("Incomplete", (), incomplete))
    registry.installed_registry.cache_clear()
    failed = perform(order("measure", 0.0, weights))
    assert isinstance(failed, StageFailed), failed
    assert failed.fault == "recipe"
    assert "has no evaluate()" in failed.message


def test_a_later_target_gives_what_its_device_decides_alone(order):
    weights = perform(order("train", 0.0)).files[0].path
    on_board = order("measure", 0.0, weights)
    names = ("latency_ms@rpi5", "peak_memory_bytes@rpi5")
    grant = on_board.grant.model_copy(update={"target": "rpi5", "metrics": names})
    measured = perform(on_board.model_copy(update={"grant": grant}))
    assert isinstance(measured, StageCompleted), measured
    assert tuple(measured.measurements) == names
