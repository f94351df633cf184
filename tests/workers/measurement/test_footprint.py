"""Weights and multiply-accumulates, against counts by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.measurement.footprint import count_footprint, count_macs, count_nonzero_weights


class Attention(nn.Module):
    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.masked = masked

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.ones(1, 1, 10, 10, dtype=torch.bool) if self.masked else None
        return functional.scaled_dot_product_attention(x, x, x, attn_mask=mask)


class MatrixVector(nn.Module):
    def forward(self, matrix: Tensor) -> Tensor:
        return matrix @ matrix[0] @ matrix[1]


SEQUENCE = torch.randn(1, 10, 16)
ATTENTION_MACS = 4 * 10 * 16 * 16 + 2 * 10 * 10 * 16  # four projections, two products
LSTM_MACS = 4 * 10 * 24 * (16 + 24)


@pytest.mark.parametrize(
    ("network", "inputs", "macs"),
    [
        (nn.Linear(16, 32), (SEQUENCE,), 10 * 16 * 32),
        (nn.Conv1d(16, 8, 3, padding=1), (torch.randn(1, 16, 10),), 10 * 16 * 8 * 3),
        (nn.Conv1d(16, 16, 5, padding=2, groups=16), (torch.randn(1, 16, 10),), 10 * 16 * 5),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (torch.randn(1, 3, 8, 8),), 16 * 27 * 8),
        (nn.ConvTranspose1d(16, 8, 4, stride=2), (torch.randn(1, 16, 10),), 10 * 16 * 8 * 4),
        (nn.LSTM(16, 24, batch_first=True), (SEQUENCE,), LSTM_MACS),
        (nn.GRU(16, 24, batch_first=True), (SEQUENCE,), LSTM_MACS * 3 // 4),
        (Attention(masked=False), (torch.randn(1, 4, 10, 8),), 2 * 4 * 10 * 10 * 8),
        (Attention(masked=True), (torch.randn(1, 4, 10, 8),), 2 * 4 * 10 * 10 * 8),
        (nn.MultiheadAttention(16, 4, batch_first=True), (SEQUENCE,) * 3, ATTENTION_MACS),
        (
            nn.TransformerEncoderLayer(16, 4, 64, batch_first=True),
            (SEQUENCE,),
            ATTENTION_MACS + 2 * 10 * 16 * 64,
        ),
        (MatrixVector(), (torch.randn(6, 6),), 6 * 6 + 6),
        (nn.Embedding(50, 16), (torch.ones(1, 10, dtype=torch.int64),), 0),
        (nn.LayerNorm(16), (SEQUENCE,), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_macs_are_those_counted_by_hand(
    network: nn.Module, inputs: tuple[Tensor, ...], macs: int
) -> None:
    assert count_macs(network.eval(), inputs) == macs


def test_counting_leaves_torchs_kernels_as_they_were() -> None:
    before = (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled)
    count_macs(nn.Linear(2, 2), (torch.ones(1, 2),))
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == before


class TiedEnds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 5, bias=False)
        self.norm = nn.BatchNorm1d(5)
        self.last = nn.Linear(5, 5)
        self.last.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.first(x)))


def test_weights_are_counted_once_and_zeros_apart() -> None:
    network = TiedEnds().eval()
    with torch.no_grad():
        network.first.weight[:2] = 0
        network.last.bias[:] = 1
    footprint = count_footprint(network, (torch.ones(1, 5),))
    # 25 tied weights, 5 biases, 2 x 5 of the norm, whose biases are zero; no running statistics
    assert footprint.weight_count == 40
    assert count_nonzero_weights(network) == 40 - 10 - 5
    assert footprint.macs == 50
    # Twice 5 x 5 weights with 5 in and 5 out, once with 5 biases; the norm's 4 x 5, 5 in, 5 out.
    assert footprint.off_chip_bytes == 4 * ((25 + 10) + (20 + 10) + (25 + 5 + 10))
