"""Instructions of real networks, counted for real."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workers.benches.in_process import InProcessBench
from workers.measurement.callgrind import CallgrindMissing, require_callgrind
from workers.measurement.instruction_count import (
    INFERENCES,
    InstructionCountFailed,
    count_instructions,
)
from workers.measurement.runnable import Runnable
from workers.runtimes.registry import find_runtime

BATCH = 32


def _obstacle() -> str:
    try:
        require_callgrind()
    except CallgrindMissing as error:
        return str(error)
    return ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # a fiftieth of the usual speed, beside other tests
    pytest.mark.skipif(bool(_obstacle()), reason=f"no callgrind here: {_obstacle()}"),
]


def exported(folder: Path, width: int) -> Runnable:
    folder.mkdir()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 8)).eval()
    inputs = [(torch.randn(BATCH, 64),) for _ in range(2)]
    path = find_runtime("onnxruntime").export(network, inputs[0], folder).path
    return Runnable(path, [(one.numpy(),) for (one,) in inputs])


def test_counts_repeat_and_are_those_of_the_products(tmp_path: Path) -> None:
    network = exported(tmp_path / "exported", 2_048)
    once = count_instructions("onnxruntime", network, tmp_path)
    bench = InProcessBench(find_runtime("onnxruntime"), "this-box", tmp_path)
    found = bench.optional_figure("instruction_count", network, 2)
    assert np.mean(found.values) == pytest.approx(np.mean(once.values), rel=1e-3)  # mostly to 1e-5
    assert len(found.values) == INFERENCES
    # An instruction does 4 to 16 products of fp32 at a time, and there are few others.
    macs = BATCH * (64 * 2_048 + 2_048 * 8)
    assert macs / 16 < min(found.values) <= max(found.values) < macs
    assert "callgrind 3." in found.method
    assert not list(tmp_path.glob("callgrind-*"))


def test_a_process_that_dies_tells_what_it_said(tmp_path: Path) -> None:
    missing = Runnable(tmp_path / "no-such.onnx", [(np.ones((1, 4), np.float32),)])
    with pytest.raises(InstructionCountFailed, match=r"(?s)exit code 1: .*no-such\.onnx"):
        count_instructions("onnxruntime", missing, tmp_path)
