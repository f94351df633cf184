"""The reference network is made once, is always the same, and is made anew when damaged."""

import math
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from workers.benches.in_process import InProcessBench
from workers.measurement import calibration_history
from workers.measurement.latency import AloneTimings
from workers.measurement.reference import Reference, calibrated_reference
from workers.measurement.reference_network import (
    LARGE,
    LARGE_FROM_BYTES,
    SMALL,
    ReferenceShape,
    build_reference,
    reference_for,
    reference_input,
)
from workers.measurement.runnable import Runnable
from workers.measurement.statistics import QuantileEstimate
from workers.runtimes.onnxruntime import OnnxRuntime
from workers.runtimes.runtime import ExportedNetwork


class CountingRuntime(OnnxRuntime):
    def __init__(self) -> None:
        self.exports = 0

    def export(
        self, network: torch.nn.Module, example: tuple[torch.Tensor, ...], folder: Path
    ) -> ExportedNetwork:
        self.exports += 1
        return super().export(network, example, folder)


class TimingNothing(InProcessBench):
    """A bench that knows at once how long anything takes, each time a little longer."""

    calibrations = 0

    def calibrate(
        self, reference: Runnable, threads: int, quickest_pace_ns: float = math.nan
    ) -> AloneTimings:
        TimingNothing.calibrations += 1
        median_ns = 250_000.0 + TimingNothing.calibrations
        return AloneTimings(QuantileEstimate(median_ns, 1_000.0, 256, 16), pace_ns=20_000.0)


def find(
    runtime: OnnxRuntime,
    cache: Path,
    threads: int = 1,
    device: str = "this-box",
    kind: type[InProcessBench] = TimingNothing,
) -> Reference:
    bench = kind(runtime, device, cache)
    return calibrated_reference(SMALL, runtime, bench, threads, cache)


@pytest.fixture
def runtime() -> CountingRuntime:
    return CountingRuntime()


@pytest.mark.parametrize(
    ("shape", "name", "weights", "first_answers"),
    [
        (SMALL, "encoder-2x128-v1", 528_656, [0.2357, -0.1096, -0.7024]),
        (LARGE, "encoder-4x320-v1", 5_267_216, [0.0756, 0.2587, 0.1347]),
    ],
    ids=["small", "large"],
)
def test_the_weights_and_answers_never_change(
    shape: ReferenceShape, name: str, weights: int, first_answers: list[float]
) -> None:
    """Fixed numbers: should they change, the reference needs another name."""
    assert shape.name == name
    network = build_reference(shape)
    assert sum(weight.numel() for weight in network.parameters()) == weights
    with torch.no_grad():
        answers = network(*reference_input())
    assert answers.shape == (1, 16)
    torch.testing.assert_close(answers[0, :3], torch.tensor(first_answers), rtol=1e-3, atol=1e-3)


def test_a_candidate_is_paired_with_the_reference_that_is_like_it() -> None:
    assert reference_for(0) is reference_for(LARGE_FROM_BYTES - 1) is SMALL
    assert reference_for(LARGE_FROM_BYTES) is reference_for(10**9) is LARGE


@pytest.mark.alone
def test_it_is_exported_and_calibrated_once(runtime: CountingRuntime, tmp_path: Path) -> None:
    first = find(runtime, tmp_path, kind=InProcessBench)
    assert find(runtime, tmp_path, kind=InProcessBench) == first
    assert runtime.exports == 1
    calibration = first.calibration
    assert 0.01 < calibration.latency_ms < 100
    assert 0 < calibration.sem_ms < calibration.latency_ms
    assert calibration.runtime_version == runtime.version()
    assert calibration.clock == "thread_cpu_time"
    assert first.path.parent.parent == tmp_path / "reference"
    # Nothing is left lying about.
    assert sorted(path.suffix for path in first.path.parent.iterdir()) == [".json", ".onnx"]
    assert len([p for p in first.path.parent.parent.iterdir() if p.is_dir()]) == 1


@pytest.mark.parametrize("damaged", ["calibration.json", "network.onnx"])
def test_what_is_damaged_is_made_anew(
    runtime: CountingRuntime, tmp_path: Path, damaged: str
) -> None:
    first = find(runtime, tmp_path)
    network = first.path.read_bytes()
    (first.path.parent / damaged).write_bytes(b"half a file")
    again = find(runtime, tmp_path)
    assert runtime.exports == 2
    assert again.path == first.path
    assert again.path.read_bytes() == network


def test_whoever_comes_second_waits_and_takes_the_firsts(
    runtime: CountingRuntime, tmp_path: Path
) -> None:
    found: list[Reference] = []
    # One after the other the exports would race on one folder; the lock is per open file.
    threads = [
        threading.Thread(target=lambda: found.append(find(runtime, tmp_path))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert runtime.exports == 1


def test_each_number_of_threads_has_its_own(runtime: CountingRuntime, tmp_path: Path) -> None:
    one = find(runtime, tmp_path)
    two = find(runtime, tmp_path, threads=2)
    assert one.path != two.path
    assert two.calibration.clock == "wall_time"


def test_each_device_has_its_own(runtime: CountingRuntime, tmp_path: Path) -> None:
    assert find(runtime, tmp_path).path != find(runtime, tmp_path, device="another-box").path
    assert runtime.exports == 2


def test_it_is_timed_again_for_the_devices_history(
    runtime: CountingRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find(runtime, tmp_path)
    assert first.history == (first.calibration,)
    monkeypatch.setattr(calibration_history, "AGAIN_AFTER", timedelta(seconds=-1))
    again = find(runtime, tmp_path)
    assert again.calibration == first.calibration
    assert again.history[0] == first.calibration
    assert len(again.history) == 2
    later_by_ms = again.history[1].latency_ms - first.calibration.latency_ms
    assert later_by_ms == pytest.approx(1e-6)
    assert runtime.exports == 1
