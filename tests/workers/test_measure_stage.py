"""Weights go from `train` to `measure`, or a network is measured before it has any."""

import importlib

import pytest
import torch

from search_spaces import registry
from search_spaces.metric import MEASURED_METRICS
from tests.workers.grants import make_grant
from workers.benches.in_process import InProcessBench
from workers.measurement.optional_figure import OptionalFigure
from workers.stage import perform
from workers.stage_order import StageOrder
from workers.stage_result import StageCompleted

QUICK = {"min_pairs": 16, "relative_ci": 0.5, "time_limit_s": 2.0}


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
    def make(kind, **measurement):
        made = StageOrder(
            grant=make_grant(stage=kind, stage_kind=kind, measurement=QUICK | measurement),
            work_folder=tmp_path / kind,
            cache_folder=tmp_path / "cache",
        )
        made.folder.create()
        return made

    return make


def test_measuring_the_trained_network_gives_every_measured_metric(order):
    trained = perform(order("train"))
    to_measure = order("measure")
    trained.files[0].path.rename(to_measure.folder.inputs / trained.files[0].name)
    measured = perform(to_measure)
    assert isinstance(measured, StageCompleted), measured
    assert measured.measurements.keys() == {metric.name for metric in MEASURED_METRICS}
    assert measured.measurements["weight_count"].mean == 4 * 8 + 8 + 8 + 1
    latency = measured.measurements["latency_ms"]
    assert latency.mean > 0
    assert latency.unit == "ms"
    assert latency.protocol["runtime"] == "onnxruntime"
    assert latency.protocol["threads"] == 1
    assert latency.protocol["untrained"] is False
    (calibration,) = measured.calibrations
    assert calibration.latency_ms == latency.protocol["reference"]["latency_ms"]
    (exported,) = measured.files
    assert exported.path.suffix == ".onnx"
    assert exported.path.stat().st_size == measured.measurements["file_size_bytes"].mean


def test_an_untrained_network_measures_as_its_trained_one_does(order):
    trained = perform(order("train", untrained=True))
    weights, deployable = trained.files
    ahead = perform(order("measure", untrained=True))
    assert isinstance(ahead, StageCompleted), ahead
    assert ahead.measurements.keys() == {metric.name for metric in MEASURED_METRICS}
    assert ahead.measurements["latency_ms"].protocol["untrained"] is True
    # Its file holds weights of no meaning: it must not be taken for something to deploy.
    assert ahead.files == ()

    after = order("measure")
    weights.path.rename(after.folder.inputs / weights.name)
    measured = perform(after)
    for name in ("weight_count", "macs", "file_size_bytes"):
        assert ahead.measurements[name].mean == measured.measurements[name].mean
    assert deployable.name == "network.onnx"
    assert deployable.path.read_bytes() == measured.files[0].path.read_bytes()


def test_a_trainer_without_the_runtime_keeps_the_weights_alone(order, monkeypatch):
    monkeypatch.setattr("workers.runtimes.registry.find_spec", lambda _: None)
    trained = perform(order("train", untrained=True))
    assert isinstance(trained, StageCompleted), trained
    assert [file.name for file in trained.files] == ["network.safetensors"]


def test_zeros_are_counted_in_the_trained_network(order):
    trained = perform(order("train"))
    assert trained.measurements["nonzero_weight_count"].mean == 4 * 8 + 8 + 8 + 1


def test_an_optional_metric_is_measured_only_if_it_is_asked_for(order, monkeypatch):
    asked = []

    def figure(bench, metric, candidate, threads):
        asked.append((metric, candidate.path.name, threads))
        return OptionalFigure((4.0, 6.0), "by hand")

    monkeypatch.setattr(InProcessBench, "optional_figure", figure)
    without = perform(order("measure", untrained=True))
    assert isinstance(without, StageCompleted), without
    assert asked == []
    assert without.measurements["latency_ms"].protocol["optional_metrics"] == {}

    grant = order("measure", untrained=True).grant
    metrics = ["latency_ms@rpi5", "energy_mj@rpi5"]
    grant = grant.model_copy(update={"metrics": tuple(metrics), "target": "rpi5"})
    found = perform(order("measure").model_copy(update={"grant": grant}))
    assert isinstance(found, StageCompleted), found
    assert asked == [("energy_mj", "network.onnx", 1)]
    assert list(found.measurements) == metrics
    energy = found.measurements["energy_mj@rpi5"]
    assert (energy.mean, energy.sem, energy.n, energy.unit) == (5.0, 1.0, 2, "mJ")
    assert energy.protocol["optional_metrics"] == {"energy_mj": "by hand"}
