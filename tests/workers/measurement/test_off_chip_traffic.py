"""Bytes moved between memory and compute, against counts by hand."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from service.domain.runtimes import RUNTIME_PRECISIONS
from workers.measurement.footprint import count_off_chip_bytes
from workers.measurement.off_chip_traffic import WIDTHS

SEQUENCE = torch.randn(1, 10, 16)


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x)


class Calls(nn.Module):
    """As a network, a function of its input and of 4 x 4 weights."""

    def __init__(self, function) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


@pytest.mark.parametrize(
    ("network", "inputs", "numbers"),
    [
        (nn.Linear(16, 32), (SEQUENCE,), 10 * 16 + 16 * 32 + 32 + 10 * 32),
        (nn.Linear(16, 32, bias=False), (SEQUENCE,), 10 * 16 + 16 * 32 + 10 * 32),
        (
            nn.Conv1d(16, 8, 3, padding=1),
            (torch.randn(1, 16, 10),),
            16 * 10 + 8 * 16 * 3 + 8 + 8 * 10,
        ),
        (
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            (torch.randn(1, 3, 8, 8),),
            3 * 64 + 8 * 27 + 8 + 8 * 16,
        ),
        (nn.ReLU(), (SEQUENCE,), 2 * 160),
        (nn.ReLU(inplace=True), (SEQUENCE.clone(),), 2 * 160),
        (nn.LayerNorm(16), (SEQUENCE,), 2 * 160 + 2 * 16),
        (nn.BatchNorm1d(16), (torch.randn(1, 16, 10),), 2 * 160 + 4 * 16),
        (nn.MaxPool2d(2), (torch.randn(1, 3, 8, 8),), 3 * 64 + 3 * 16),
        (nn.Flatten(), (SEQUENCE,), 0),
        (nn.Dropout(0.5), (SEQUENCE,), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_numbers_moved_are_those_counted_by_hand(
    network: nn.Module, inputs: tuple[Tensor, ...], numbers: int
) -> None:
    assert count_off_chip_bytes(network.eval(), inputs) == 4 * numbers


@pytest.mark.parametrize(
    ("function", "numbers"),
    [
        (lambda x, w: x + w, 16 + 16 + 16),
        (lambda x, w: x + x, 16 + 16),  # one input, read once
        (lambda x, w: x.t().reshape(2, 8), 16 + 16),  # only a copy can have this order
        (lambda x, w: x.reshape(2, 8), 0),
        (lambda x, w: x + w[:1].expand(4, 4), 16 + 4 + 16),  # a row of weights is there once
        (lambda x, w: torch.cat([x, w]), 16 + 16 + 32),
        (lambda x, w: x.clone().copy_(w), (16 + 16) + (16 + 16)),
        (lambda x, w: torch.zeros(3), 3),
    ],
)
def test_each_operator_reads_and_writes_once(function, numbers: int) -> None:
    assert count_off_chip_bytes(Calls(function), (torch.ones(4, 4),)) == 4 * numbers


def test_a_lookup_reads_the_rows_it_gives_and_not_the_table() -> None:
    ids = torch.ones(1, 10, dtype=torch.int64)
    rows = 10 * 16 * 4
    assert count_off_chip_bytes(nn.Embedding(50_000, 16), (ids,)) == 10 * 8 + rows + rows


def test_attention_moves_its_scores_out_and_in() -> None:
    x = torch.randn(1, 4, 10, 8)
    # Scaling both, two products, a softmax between: at least the scores four times.
    moved = count_off_chip_bytes(Attention(), (x,))
    assert moved >= 4 * (4 * 4 * 10 * 10 + 4 * x.numel())
    assert moved <= 4 * (5 * 4 * 10 * 10 + 12 * x.numel())


def test_a_recurrent_layer_reads_its_weights_again_at_every_step() -> None:
    network = nn.LSTM(16, 24, batch_first=True).eval()
    recurrent = 4 * 24 * 24 * 4
    moved = count_off_chip_bytes(network, (SEQUENCE,))
    assert 10 * recurrent < moved < 20 * recurrent


PERCEPTRON = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
WEIGHTS = 4 * 8 + 8 + 8 * 2 + 2
ACTIVATIONS = (4 + 8) + (8 + 8) + (8 + 2)


@pytest.mark.parametrize(
    ("precision", "moved"),
    [
        ("fp32", 4 * WEIGHTS + 4 * ACTIVATIONS),
        ("bf16", 2 * WEIGHTS + 2 * ACTIVATIONS),
        ("fp16", 2 * WEIGHTS + 2 * ACTIVATIONS),
        ("int8_dynamic", WEIGHTS + 4 * ACTIVATIONS),
        ("int8_static", WEIGHTS + ACTIVATIONS),
    ],
)
def test_the_precision_decides_what_a_number_weighs(precision, moved: int) -> None:
    assert count_off_chip_bytes(PERCEPTRON, (torch.ones(1, 4),), precision) == moved


def test_every_precision_has_its_widths() -> None:
    assert {one for has in RUNTIME_PRECISIONS.values() for one in has} == WIDTHS.keys()


@settings(max_examples=25, deadline=None)
@given(
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    batch=st.integers(1, 5),
    precision=st.sampled_from(sorted(WIDTHS)),
)
def test_layers_in_a_row_move_the_sum_of_theirs(widths, batch, precision) -> None:
    layers = [nn.Linear(*pair) for pair in pairwise(widths)]
    width = WIDTHS[precision]
    weights = sum(layer.weight.numel() + layer.bias.numel() for layer in layers)
    activations = batch * sum(layer.in_features + layer.out_features for layer in layers)
    moved = count_off_chip_bytes(nn.Sequential(*layers), (torch.ones(batch, widths[0]),), precision)
    assert moved == width.weight * weights + width.activation * activations
