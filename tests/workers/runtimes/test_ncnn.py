"""What ncnn has of its own beside the contract of all runtimes: batches, fp16, what it lacks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from workers.measurement.agreement import check_agreement
from workers.runtimes.errors import ExportFailed, RuntimeMissing
from workers.runtimes.registry import find_runtime
from workers.runtimes.runtime import Runtime


@pytest.fixture
def ncnn() -> Runtime:
    try:
        return find_runtime("ncnn")
    except RuntimeMissing as missing:
        pytest.skip(str(missing))


class Tagger(nn.Module):
    """Ids of n-grams (B x T x G) to the tag of each word and how many words there are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(30, 8)
        self.tags = nn.Linear(8, 3)

    def forward(self, ngrams: Tensor) -> tuple[Tensor, Tensor]:
        present = ngrams[:, :, :1] != 0
        tags = self.tags(self.tokens(ngrams).sum(2)).masked_fill(~present, 0.0)
        return tags, present.to(torch.float32).sum(1)


@pytest.mark.parametrize("batch", [1, 3])
def test_commands_come_one_by_one_or_several_at_a_time(
    ncnn: Runtime, tmp_path: Path, batch: int
) -> None:
    network = Tagger().eval()
    inputs = [(torch.randint(0, 2, (batch, 7, 4)) * torch.randint(0, 30, (batch, 7, 4)),)]
    exported = ncnn.export(network, inputs[0], tmp_path)
    assert check_agreement(network, ncnn.load(exported.path), inputs).worst_relative_error < 1e-5
    assert [file.name for file in tmp_path.iterdir()] == [exported.path.name]


def test_half_the_precision_takes_half_the_space(ncnn: Runtime, tmp_path: Path) -> None:
    network = nn.Linear(64, 256).eval()
    one = (torch.randn(1, 64),)
    sizes = []
    for precision in ("fp32", "fp16"):
        folder = tmp_path / precision
        folder.mkdir()
        sizes.append(ncnn.export(network, one, folder, precision).size_bytes)  # type: ignore[arg-type]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.1)


def test_a_layer_that_it_lacks_is_named(ncnn: Runtime, tmp_path: Path) -> None:
    class Sorted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.argsort(1)

    with pytest.raises(ExportFailed, match=r"ncnn has no aten::argsort"):
        ncnn.export(Sorted().eval(), (torch.randn(4, 4),), tmp_path)


def test_answers_that_do_not_fit_are_the_exports_failure(ncnn: Runtime, tmp_path: Path) -> None:
    """ncnn keeps one state of an LSTM, whatever the batch."""
    network = nn.LSTM(6, 5, batch_first=True).eval()
    with pytest.raises(ExportFailed, match="cannot reshape"):
        ncnn.export(network, (torch.randn(2, 7, 6),), tmp_path)


def test_inputs_that_change_later_are_not_looked_at(ncnn: Runtime, tmp_path: Path) -> None:
    network = nn.Linear(6, 4).eval()
    given = np.ones((1, 6), np.float32)
    session = ncnn.load(ncnn.export(network, (torch.randn(1, 6),), tmp_path).path)
    session.prepare((given,))
    given[:] = np.nan
    session.invoke()
    assert np.isfinite(session.answers()[0]).all()
