"""Every runtime keeps the one contract, on every kind of network that the spaces build."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.runtimes.errors import ExportFailed, LoadFailed
from workers.runtimes.registry import RUNTIME_NAMES, find_runtime
from workers.runtimes.runtime import Runtime, Session

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


@pytest.fixture(params=RUNTIME_NAMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return find_runtime(request.param)


@pytest.mark.parametrize("case", ["convolution", "encoder", "lstm"])
def test_the_exported_network_answers_as_torch_does(
    runtime: Runtime, case: str, tmp_path: Path
) -> None:
    network, inputs = _cases()[case]
    network.eval()
    exported = runtime.export(network, inputs[0], tmp_path)
    assert exported.size_bytes == exported.path.stat().st_size > 0
    assert exported.export_s > 0
    session = runtime.load(exported.path)
    assert_answers_alike(network, session, inputs)
    # Sessions do not share state, and the order of the inputs does not matter.
    assert_answers_alike(network, runtime.load(exported.path), inputs[::-1])


def assert_answers_alike(
    network: nn.Module, session: Session, inputs: list[tuple[Tensor, ...]]
) -> None:
    for one in inputs:
        with torch.no_grad():
            expected = torch.utils._pytree.tree_leaves(network(*one))
        for given in (one, tuple(tensor.numpy() for tensor in one)):
            answers = session.run(given)
            assert len(answers) == len(expected)
            for answer, tensor in zip(answers, expected, strict=True):
                assert answer.dtype == tensor.numpy().dtype
                np.testing.assert_allclose(answer, tensor.numpy(), rtol=1e-4, atol=1e-5)
        session.prepare(one)
        for _ in range(3):
            session.invoke()
        np.testing.assert_allclose(session.answers()[0], expected[0], rtol=1e-4, atol=1e-5)


def test_answers_are_copies(runtime: Runtime, tmp_path: Path) -> None:
    network, inputs = _cases()["convolution"]
    exported = runtime.export(network.eval(), inputs[0], tmp_path)
    session = runtime.load(exported.path)
    first = session.run(inputs[0])[0]
    kept = first.copy()
    second = session.run(inputs[1])[0]
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, kept)


def test_a_wrong_number_of_inputs_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    network, inputs = _cases()["convolution"]
    session = runtime.load(runtime.export(network.eval(), inputs[0], tmp_path).path)
    with pytest.raises(ValueError, match="takes 1 inputs, 2 were given"):
        session.prepare((*inputs[0], *inputs[0]))


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
    assert runtime.version() == version(runtime.name)
