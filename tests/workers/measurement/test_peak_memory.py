"""The peak of a fresh process, against networks whose weights are known to weigh something."""

from pathlib import Path

import pytest
import torch
from torch import nn

from workers.measurement.peak_memory import (
    PROCESSES,
    MemoryProbeDied,
    measure_peak_memory,
)
from workers.measurement.runnable import Runnable
from workers.runtimes.registry import find_runtime

pytestmark = pytest.mark.alone

MIB = 2**20
INPUTS = (torch.randn(1, 512),)


def exported(folder: Path, layers: int) -> Runnable:
    """1 MiB of weights for each layer."""
    folder.mkdir()
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Linear(512, 512, bias=False) for _ in range(layers)))
    path = find_runtime("onnxruntime").export(network.eval(), INPUTS, folder).path
    return Runnable(path, [(INPUTS[0].numpy(),)])


def test_the_rise_grows_with_the_weights(tmp_path: Path) -> None:
    reference = exported(tmp_path / "reference", 2)
    rises = {}
    for layers in (8, 32):
        candidate = exported(tmp_path / str(layers), layers)
        peak = measure_peak_memory("onnxruntime", candidate, reference, 1, tmp_path)
        assert peak.method == "VmHWM after reset"
        assert len(peak.rise_bytes) == PROCESSES
        rises[layers] = peak.rise_bytes
        # At least the weights themselves; at most a few copies of them while loading.
        assert min(rises[layers]) >= layers * MIB
        assert max(rises[layers]) <= 4 * layers * MIB
        assert max(rises[layers]) - min(rises[layers]) <= 2 * MIB
    assert min(rises[32]) - max(rises[8]) >= 22 * MIB


def test_a_process_that_dies_tells_what_it_said(tmp_path: Path) -> None:
    reference = exported(tmp_path / "reference", 1)
    missing = Runnable(tmp_path / "no-such.onnx", [(INPUTS[0].numpy(),)])
    with pytest.raises(MemoryProbeDied, match=r"(?s)exit code 1 .*No such file .*no-such\.onnx"):
        measure_peak_memory("onnxruntime", missing, reference, 1, tmp_path)
