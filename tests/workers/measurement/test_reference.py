"""The reference network is made once, is always the same, and is made anew when damaged."""

import threading
from pathlib import Path

import pytest
import torch

from workers.measurement.device_profile import profile_this_host
from workers.measurement.reference import Reference, calibrated_reference
from workers.measurement.reference_network import (
    REFERENCE_NAME,
    build_reference,
    reference_input,
)
from workers.measurement.timed_block import clocks_for
from workers.runtimes.onnxruntime import OnnxRuntime
from workers.runtimes.runtime import ExportedNetwork

pytestmark = pytest.mark.alone


class CountingRuntime(OnnxRuntime):
    def __init__(self) -> None:
        self.exports = 0

    def export(
        self, network: torch.nn.Module, example: tuple[torch.Tensor, ...], folder: Path
    ) -> ExportedNetwork:
        self.exports += 1
        return super().export(network, example, folder)


def find(runtime: OnnxRuntime, cache: Path) -> Reference:
    return calibrated_reference(runtime, 1, clocks_for(1), profile_this_host(), cache)


@pytest.fixture
def runtime() -> CountingRuntime:
    return CountingRuntime()


def test_the_weights_and_answers_never_change() -> None:
    """Fixed numbers: should they change, the reference needs another name."""
    assert REFERENCE_NAME == "encoder-2x128-v1"
    network = build_reference()
    assert sum(weight.numel() for weight in network.parameters()) == 528_656
    with torch.no_grad():
        answers = network(*reference_input())
    assert answers.shape == (1, 16)
    torch.testing.assert_close(
        answers[0, :3], torch.tensor([0.2357, -0.1096, -0.7024]), rtol=1e-3, atol=1e-3
    )


def test_it_is_exported_and_calibrated_once(runtime: CountingRuntime, tmp_path: Path) -> None:
    first = find(runtime, tmp_path)
    assert find(runtime, tmp_path) == first
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
    (first.path.parent / damaged).write_bytes(b"half a file")
    again = find(runtime, tmp_path)
    assert runtime.exports == 2
    assert again.path == first.path
    assert again.calibration.file_sha256 == first.calibration.file_sha256


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
    two = calibrated_reference(runtime, 2, clocks_for(2), profile_this_host(), tmp_path)
    assert one.path != two.path
    assert two.calibration.clock == "wall_time"
