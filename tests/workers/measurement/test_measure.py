"""The whole measurement, for real, in every runtime."""

import json
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from search_spaces.metric import MEASURED_METRICS
from search_spaces.recipe import ArmInfeasible
from service.domain.device import MeasurementSettings
from workers.benches.in_process import InProcessBench
from workers.measurement.measure import Measured, measure
from workers.measurement.timed_block import MIN_BLOCK_NS
from workers.runtimes.errors import RuntimeMissing
from workers.runtimes.registry import RUNTIME_NAMES, find_runtime

SLOW_TO_START = ("executorch", "torch_eager")
"""Runtimes that import torch: their figures are only asked for, not weighed."""

AS_TORCH_EAGER = ("torch_csr", "aotinductor")
"""Measured by the program of `torch_eager`; what is their own is in the tests of the runtimes."""


class SmallTagger(nn.Module):
    """Token ids (1 x 16, int64) to tags."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(40, width)
        self.layers = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.tags = nn.Linear(width, 5)

    def forward(self, ids: Tensor) -> Tensor:
        present = (ids != 0)[..., None]
        return self.tags(self.layers(self.tokens(ids) * present))


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def measure_tagger(width: int, runtime: str, cache_folder: Path, folder: Path) -> Measured:
    folder.mkdir(exist_ok=True)
    torch.manual_seed(width)
    network = SmallTagger(width)
    inputs = [(torch.randint(0, 40, (1, 16)),) for _ in range(3)]
    settings = MeasurementSettings.model_validate({"runtime": runtime, "time_limit_s": 3})
    return measure_here(network, inputs, settings, cache_folder, folder)


def measure_here(
    network: nn.Module,
    inputs: list[tuple[Tensor, ...]],
    settings: MeasurementSettings,
    cache_folder: Path,
    folder: Path,
) -> Measured:
    try:
        runtime = find_runtime(settings.chosen_runtime)
    except RuntimeMissing as missing:
        pytest.skip(str(missing))
    bench = InProcessBench(runtime, "this-box", folder)
    return measure(network, inputs, settings, runtime, bench, cache_folder, folder, 7)


@pytest.mark.parametrize("runtime", SLOW_TO_START)
def test_every_metric_is_measured(runtime: str, cache_folder: Path, tmp_path: Path) -> None:
    check_figures(measure_tagger(32, runtime, cache_folder, tmp_path), runtime, tmp_path)


@pytest.mark.alone
@pytest.mark.parametrize(
    "runtime", [name for name in RUNTIME_NAMES if name not in SLOW_TO_START + AS_TORCH_EAGER]
)
def test_every_metric_is_measured_with_its_noise(
    runtime: str, cache_folder: Path, tmp_path: Path
) -> None:
    measured = measure_tagger(32, runtime, cache_folder, tmp_path)
    check_figures(measured, runtime, tmp_path)
    figures = {name: estimate.mean for name, estimate in measured.metrics.items()}
    # Alone on the core, CPU time and wall time of one inference are about the same; a machine that
    # was disturbed just while its reference was calibrated doubles all of its latencies.
    assert 1 / 3 < figures["latency_ms"] / figures["latency_p50_ms"] < 3
    latency, protocol = measured.metrics["latency_ms"], measured.protocol
    assert latency.sem is not None
    assert 0 < latency.sem < 0.1 * latency.mean
    assert measured.metrics["latency_p99_ms"].n >= 662
    # The first round says how often to repeat: disturbed, it makes all blocks as much shorter.
    assert protocol["candidate_repeats"] * latency.mean > MIN_BLOCK_NS / 1e6 / 3


def check_figures(measured: Measured, runtime: str, folder: Path) -> None:
    """All that holds however busy the machine is."""
    assert measured.metrics.keys() == {metric.name for metric in MEASURED_METRICS}
    figures = {name: estimate.mean for name, estimate in measured.metrics.items()}
    assert figures["weight_count"] == 40 * 32 + 2 * 32 * 64 + 64 + 32 + 32 * 5 + 5
    assert figures["macs"] == 16 * (2 * 32 * 64 + 32 * 5)
    assert figures["file_size_bytes"] == measured.exported_path.stat().st_size
    assert measured.exported_path.parent == folder
    assert figures["export_s"] > 0
    assert figures["peak_memory_bytes"] > 0
    assert figures["latency_ms"] > 0
    assert figures["latency_p50_ms"] <= figures["latency_p90_ms"] <= figures["latency_p99_ms"]

    protocol = measured.protocol
    assert json.loads(json.dumps(protocol)) == protocol
    assert protocol["runtime"] == runtime
    calm_rounds = protocol["rounds"] - protocol["slow_rounds"]
    assert protocol["pairs"] == measured.metrics["latency_ms"].n == 8 * calm_rounds
    assert protocol["rounds"] >= 8
    assert protocol["seed"] == 7
    assert "preempted" in protocol["watched"]
    assert protocol["set_aside"]["pairs"] <= 64
    calm_enough = protocol["rounds"] - protocol["slow_core_rounds"] >= 8
    left_alone = protocol["counted"]["pairs"] <= 0.8 * protocol["rounds"]
    as_calibrated = protocol["reference_slowdown"] <= 1.25
    assert protocol["noisy"] != (calm_enough and left_alone and as_calibrated)
    assert 0 < protocol["quickest_pace_ns"] <= protocol["pace_ns"]
    assert protocol["reference_slowdown"] > 0.5
    assert protocol["agreement_worst_relative_error"] < 1e-4
    assert set(protocol["pinned_cores"]) <= os.sched_getaffinity(0)
    assert protocol["reference"]["latency_ms"] > 0
    assert protocol["input_shapes"] == [[1, 16]]


@pytest.mark.alone
def test_a_larger_network_is_measured_slower(cache_folder: Path, tmp_path: Path) -> None:
    small = measure_tagger(64, "onnxruntime", cache_folder, tmp_path / "small").metrics
    large = measure_tagger(256, "onnxruntime", cache_folder, tmp_path / "large").metrics
    for metric in ("latency_ms", "latency_p50_ms", "peak_memory_bytes", "file_size_bytes", "macs"):
        assert large[metric].mean > 1.5 * small[metric].mean


class AnotherWhenExported(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * (1.02 if torch.compiler.is_exporting() else 1.0)


def test_a_network_whose_export_answers_otherwise_is_not_measured(
    cache_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArmInfeasible, match=r"output on input 0 differs from torch's by 0\.02"):
        measure_here(
            AnotherWhenExported(),
            [(torch.ones(1, 4),)],
            MeasurementSettings(),
            cache_folder,
            tmp_path,
        )
