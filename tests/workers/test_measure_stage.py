"""A trained network's weights go from `train` to `measure`, and figures come out."""

import importlib

import pytest
import torch

from search_spaces import registry
from search_spaces.metric import MEASURED_METRICS
from tests.workers.grants import make_grant
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


def test_measuring_the_trained_network_gives_every_measured_metric(tmp_path):
    def order(kind):
        made = StageOrder(
            grant=make_grant(stage=kind, stage_kind=kind, measurement=QUICK),
            work_folder=tmp_path / kind,
            cache_folder=tmp_path / "cache",
        )
        made.folder.create()
        return made

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
    (exported,) = measured.files
    assert exported.path.suffix == ".onnx"
    assert exported.path.stat().st_size == measured.measurements["file_size_bytes"].mean
