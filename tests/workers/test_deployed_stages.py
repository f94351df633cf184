"""What the device decides of a space's own metrics, and the precision that an arm chooses."""

import importlib

import pytest
import torch

from search_spaces import registry
from search_spaces.metric import MEASURED_METRICS
from tests.workers.grants import make_grant
from workers.measurement.agreement import TOLERANCES
from workers.stage import perform
from workers.stage_order import StageOrder
from workers.stage_result import StageCompleted, StageFailed, StageInfeasible

QUICK = {"min_pairs": 16, "relative_ci": 0.5, "time_limit_s": 1.0}

MEASURED = tuple(metric.name for metric in MEASURED_METRICS)
OWN = ("runs_per_s", "change")


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
    def make(kind, precision, weights=None, names=(*MEASURED, *OWN)):
        made = StageOrder(
            grant=make_grant(
                stage=kind,
                stage_kind=kind,
                measurement=QUICK,
                metrics=names if kind == "measure" else ("loss", "nonzero_weight_count"),
                search_space={"name": "tiny-deployed", "version": 1},
                arm={"parameters": {"width": 48, "precision": precision}},
            ),
            work_folder=tmp_path / f"{kind}-{precision}",
            cache_folder=tmp_path / "cache",
        )
        made.folder.create()
        if weights is not None:
            (made.folder.inputs / weights.name).write_bytes(weights.read_bytes())
        return made

    return make


@pytest.fixture
def weights(order):
    return perform(order("train", "fp32")).files[0].path


def test_both_networks_are_measured_in_the_precision_of_the_arm(order, weights):
    found = {}
    for precision in ("fp32", "int8_dynamic"):
        measured = perform(order("measure", precision, weights))
        assert isinstance(measured, StageCompleted), measured
        assert measured.measurements.keys() == {*MEASURED, *OWN}
        first = measured.measurements["latency_ms"].protocol
        second = measured.measurements["runs_per_s"].protocol
        assert first["precision"] == second["precision"] == precision
        assert first["input_shapes"] == [[1, 4]]
        assert second["input_shapes"] == [[1, 48]]
        assert second["device"] == first["device"]
        found[precision] = {name: one.mean for name, one in measured.measurements.items()}
    assert found["fp32"]["change"] < 1e-6 < found["int8_dynamic"]["change"]
    assert found["int8_dynamic"]["off_chip_bytes"] < found["fp32"]["off_chip_bytes"]
    assert all(one["runs_per_s"] > 0 for one in found.values())


def test_every_target_gives_them_under_its_own_name(order, weights):
    names = ("latency_ms@rpi5", "runs_per_s@rpi5", "change@rpi5")
    on_board = order("measure", "fp32", weights, names)
    grant = on_board.grant.model_copy(update={"target": "rpi5"})
    measured = perform(on_board.model_copy(update={"grant": grant}))
    assert isinstance(measured, StageCompleted), measured
    assert tuple(measured.measurements) == names


def test_a_recipe_that_does_not_give_what_it_declares_is_at_fault(order, weights, monkeypatch):
    module = importlib.import_module("tiny_deployed_space")
    methods = ("build", "example_inputs", "train")
    incomplete = {name: getattr(module.TinyDeployedRecipe, name) for name in methods}
    monkeypatch.setattr(module, "TinyDeployedRecipe", type("Incomplete", (), incomplete))
    registry.installed_registry.cache_clear()
    failed = perform(order("measure", "fp32", weights))
    assert isinstance(failed, StageFailed), failed
    assert failed.fault == "recipe"
    assert "has no evaluate_deployed()" in failed.message


def test_a_precision_of_an_arms_own_is_judged_by_what_the_space_measures(
    order, weights, monkeypatch
):
    monkeypatch.setitem(TOLERANCES, "int8_dynamic", 1e-9)
    measured = perform(order("measure", "int8_dynamic", weights))
    assert isinstance(measured, StageCompleted), measured
    protocol = measured.measurements["latency_ms"].protocol
    assert 1e-9 < protocol["agreement_worst_relative_error"] < protocol["agreement_tolerance"]
    monkeypatch.setitem(TOLERANCES, "fp32", 1e-12)
    refused = perform(order("measure", "fp32", weights))
    assert isinstance(refused, StageInfeasible), refused
    assert "differs from torch's" in refused.reason
