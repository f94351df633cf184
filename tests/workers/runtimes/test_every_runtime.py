"""Every runtime keeps the one contract, on every kind of network that the spaces build."""

import logging
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from service.domain.runtimes import RUNTIME_PRECISIONS, Precision, RuntimeName
from workers.measurement.agreement import RELATIVE_TOLERANCE, TOLERANCES, check_agreement
from workers.runtimes.errors import (
    ExportFailed,
    LoadFailed,
    PrecisionMissing,
    RuntimeMissing,
)
from workers.runtimes.registry import RUNTIME_NAMES, find_runtime
from workers.runtimes.runtime import Runtime

VOCABULARY = 50
LENGTH = 12


class ConvolutionNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 4, 1), nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class TinyEncoder(nn.Module):
    """Token ids, 0 where padded, to an intent and a slot for each token."""

    def __init__(self, width: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.tokens = nn.Embedding(VOCABULARY, 8)
        self.widen = nn.Linear(8, width)
        self.positions = nn.Embedding(LENGTH, width)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.convolution = nn.Conv1d(width, width, 3, padding=1, groups=width)
        self.intent, self.slots = nn.Linear(width, 3), nn.Linear(width, 4)

    def forward(self, ids: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        present = ids != 0
        batch, length = ids.shape
        x = self.widen(self.tokens(ids)) + self.positions(torch.arange(length))
        split = self.projections(self.before(x)).view(batch, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=present[:, None, None, :]
        )
        x = x + attended.transpose(1, 2).reshape(batch, length, -1)
        x = x + functional.gelu(self.convolution(self.after(x).transpose(1, 2))).transpose(1, 2)
        weight = present[..., None].to(x.dtype)
        pooled = (x * weight).sum(1) / weight.sum(1).clamp(min=1)
        return self.intent(pooled), {"slots": self.slots(x), "present": present}


class MaskedLstm(nn.Module):
    """Takes the mask as an input of its own, beside one input that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(6, 5, batch_first=True)

    def forward(self, frames: Tensor, unused: Tensor, present: Tensor) -> Tensor:
        hidden, _ = self.recurrent(frames)
        return hidden.masked_fill(~present[..., None], 0.0).sum(1)


OF_TORCH = ("torch_eager", "torch_csr", "aotinductor")

CANNOT = {
    ("onnxruntime", "int8_static", "lstm"): "no layer of it has a form in int8_static",
    ("openvino", "int8_dynamic", "lstm"): "no layer of it has a form in int8_dynamic",
}
"""What a runtime's own exporter or quantiser cannot do, and how it says so."""


def _padded_ids(words: int) -> Tensor:
    ids = torch.randint(1, VOCABULARY, (1, LENGTH))
    ids[:, words:] = 0
    return ids


def _cases() -> dict[str, tuple[nn.Module, list[tuple[Tensor, ...]]]]:
    torch.manual_seed(0)
    return {
        "convolution": (ConvolutionNet(), [(torch.randn(1, 3, 16, 16),) for _ in range(3)]),
        "encoder": (TinyEncoder(), [(_padded_ids(words),) for words in (1, 5, LENGTH)]),
        "lstm": (
            MaskedLstm(),
            [
                (torch.randn(1, 4, 6), torch.randn(2), torch.tensor([[True, True, end, False]]))
                for end in (True, False)
            ],
        ),
    }


def _find(name: str) -> Runtime:
    try:
        return find_runtime(name)
    except RuntimeMissing as missing:
        pytest.skip(str(missing))


def _handler_levels() -> dict[logging.Handler, int]:
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    return {handler: handler.level for logger in loggers for handler in logger.handlers}


@pytest.fixture(autouse=True)
def _logs_are_heard_as_before() -> Iterator[None]:
    """A handler of ours may hang on a foreign logger too, where the foreign package sets levels."""
    before = _handler_levels()
    yield
    after = _handler_levels()
    assert {one: after.get(one, level) for one, level in before.items()} == before


@pytest.fixture(params=RUNTIME_NAMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return _find(request.param)


def _exports() -> Iterator[tuple[RuntimeName, Precision, str]]:
    for name, has in RUNTIME_PRECISIONS.items():
        for precision in has:
            # A C++ compiler takes a quarter of a minute for each of AOTInductor's.
            is_slow = name == "aotinductor" and precision != "fp32"
            for case in ("encoder",) if is_slow else ("convolution", "encoder", "lstm"):
                yield name, precision, case


@pytest.mark.parametrize(("name", "precision", "case"), list(_exports()))
def test_the_exported_network_answers_as_torch_does(
    name: RuntimeName, precision: Precision, case: str, tmp_path: Path
) -> None:
    runtime = _find(name)
    network, inputs = _cases()[case]
    network.eval()
    if reason := CANNOT.get((name, precision, case)):
        with pytest.raises(ExportFailed, match=reason):
            runtime.export(network, inputs[0], tmp_path, precision, inputs)
        return
    exported = runtime.export(network, inputs[0], tmp_path, precision, inputs)
    assert exported.size_bytes == exported.path.stat().st_size > 0
    assert exported.export_s > 0
    try:
        session = runtime.load(exported.path)
    except PrecisionMissing as missing:
        pytest.skip(str(missing))  # few processors compute in fp16
    agreement = check_agreement(network, session, inputs, TOLERANCES[precision])
    assert (agreement.worst_relative_error > RELATIVE_TOLERANCE / 100) == (precision != "fp32")
    # Sessions do not share state, and the order of the inputs does not matter.
    other = runtime.load(exported.path)
    for one in inputs[::-1]:
        as_arrays = other.run([tensor.numpy() for tensor in one])
        session.prepare(one)
        for _ in range(3):
            session.invoke()
        for answer, again in zip(as_arrays, session.answers(), strict=True):
            np.testing.assert_allclose(again, answer, rtol=1e-5, atol=1e-6)


def test_a_precision_it_has_not_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    network, inputs = _cases()["convolution"]
    for precision in get_args(Precision):
        if precision not in RUNTIME_PRECISIONS[runtime.name]:
            with pytest.raises(PrecisionMissing, match=f"{runtime.name}.* has no '{precision}'"):
                runtime.export(network.eval(), inputs[0], tmp_path, precision, inputs)


@pytest.mark.parametrize(
    "name", [name for name, has in RUNTIME_PRECISIONS.items() if "int8_static" in has]
)
def test_static_ranges_need_real_inputs(name: RuntimeName, tmp_path: Path) -> None:
    runtime = _find(name)
    network, inputs = _cases()["convolution"]
    with pytest.raises(ValueError, match="calibration_inputs is empty"):
        runtime.export(network.eval(), inputs[0], tmp_path, "int8_static")


def test_one_thread_computes_in_the_calling_thread_alone(runtime: Runtime, tmp_path: Path) -> None:
    """Latency is timed by that thread's CPU time."""
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Linear(512, 512) for _ in range(8))).eval()
    one = (torch.randn(8, 512),)
    session = runtime.load(runtime.export(network, one, tmp_path).path)
    session.prepare(one)
    session.invoke()
    process_ns, thread_ns = time.process_time_ns(), time.thread_time_ns()
    for _ in range(100):
        session.invoke()
    thread_ns, process_ns = time.thread_time_ns() - thread_ns, time.process_time_ns() - process_ns
    assert thread_ns > 0.95 * process_ns


@pytest.fixture(scope="module")
def convolution_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Runtime], Path]:
    """The convolution as the runtime exports it, once for all who only load it."""

    @lru_cache
    def export(name: str) -> Path:
        network, inputs = _cases()["convolution"]
        folder = tmp_path_factory.mktemp(name)
        return find_runtime(name).export(network.eval(), inputs[0], folder).path

    return lambda runtime: export(runtime.name)


def test_answers_are_copies(runtime: Runtime, convolution_in: Callable[[Runtime], Path]) -> None:
    inputs = _cases()["convolution"][1]
    session = runtime.load(convolution_in(runtime))
    first = session.run(inputs[0])[0]
    kept = first.copy()
    second = session.run(inputs[1])[0]
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, kept)


def test_a_wrong_number_of_inputs_is_refused(
    runtime: Runtime, convolution_in: Callable[[Runtime], Path]
) -> None:
    one = _cases()["convolution"][1][0]
    session = runtime.load(convolution_in(runtime))
    with pytest.raises(ValueError, match="takes 1 inputs, 2 were given"):
        session.prepare((*one, *one))


class DataDependent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x - 1


def test_a_network_that_cannot_be_expressed_is_the_arms_own_fault(
    runtime: Runtime, tmp_path: Path
) -> None:
    with pytest.raises(ExportFailed, match=f"cannot be exported to {runtime.name}"):
        runtime.export(DataDependent().eval(), (torch.ones(2),), tmp_path)


def test_a_damaged_file_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "network.bin"
    path.write_bytes(b"this is no network, whatever its name says" * 10)
    with pytest.raises(LoadFailed, match=r"refuses network\.bin"):
        runtime.load(path)


def test_a_missing_file_is_not_the_networks_fault(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        runtime.load(tmp_path / "no-such.bin")


def test_the_version_is_the_installed_one(runtime: Runtime) -> None:
    distribution = "torch" if runtime.name in OF_TORCH else runtime.name
    others = {"block_sparse": "openvino", "litert": "ai-edge-litert"}
    distribution = others.get(distribution, distribution)
    assert runtime.version().partition("+")[0] == version(distribution).partition("+")[0]
