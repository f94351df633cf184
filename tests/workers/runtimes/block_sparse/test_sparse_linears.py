"""Layers that are sparse in blocks are found wherever they come from, and replaced if it pays."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnxscript import ir
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.compression.masks import block_mask
from workers.runtimes.block_sparse import sparse_linears
from workers.runtimes.block_sparse.runtime import BlockSparse
from workers.runtimes.block_sparse.sparse_linears import BLOCK, pack, replace_sparse_linears
from workers.runtimes.exporting import exporting

WIDTH, ROWS = 64, 40


@given(st.integers(0, 2**31), st.integers(1, 50), st.integers(1, 20), st.floats(0, 1))
def test_what_is_packed_is_the_weight(seed, outputs, inputs, density):
    random = np.random.default_rng(seed)
    kept = random.random((-(-outputs // BLOCK), inputs)) < density
    weight = random.standard_normal((outputs, inputs), np.float32)
    weight *= kept.repeat(BLOCK, axis=0)[:outputs]
    packed = pack(weight)
    unpacked = np.zeros((len(kept) * BLOCK, inputs), np.float32)
    for row, (start, end) in enumerate(zip(packed.starts[:-1], packed.starts[1:], strict=True)):
        for block in range(start, end):
            place = slice(row * BLOCK, (row + 1) * BLOCK)
            unpacked[place, packed.columns[block]] = packed.values[block]
    np.testing.assert_array_equal(unpacked[:outputs], weight)
    assert packed.sparsity == pytest.approx(1 - kept.mean())
    assert len(packed.values) == len(packed.columns) == kept.sum()


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_a_mask_of_16_by_1_leaves_whole_blocks(seed, sparsity):
    weight = torch.randn(64, 9, generator=torch.Generator().manual_seed(seed))
    mask = block_mask(weight, sparsity, (BLOCK, 1))
    packed = pack((weight * mask).numpy())
    assert packed.sparsity == pytest.approx(round(sparsity * 36) / 36)
    assert packed.values.all()


def pruned(layer: nn.Linear, sparsity: float = 0.9) -> nn.Linear:
    with torch.no_grad():
        layer.weight *= block_mask(layer.weight, sparsity, (BLOCK, 1))
    return layer


def exported(network: nn.Module, *inputs: Tensor) -> ir.Model:
    with exporting("block_sparse", "fp32", ()):
        program = torch.onnx.export(network.eval(), inputs, dynamo=True, verbose=False)
    assert program is not None
    return program.model


def operations(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


class Functional(nn.Module):
    """Multiplies without a module, once by each of two uses of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = pruned(nn.Linear(WIDTH, WIDTH)).weight

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(functional.linear(x, self.weight).relu(), self.weight)


class Residual(nn.Module):
    """Adds to a product what is no bias, and uses a product twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = pruned(nn.Linear(WIDTH, WIDTH, bias=False))
        self.second = pruned(nn.Linear(WIDTH, WIDTH, bias=False))
        self.shift = nn.Parameter(torch.randn(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.first(x)
        product = self.second(x)
        return product * (product + self.shift)


@pytest.mark.parametrize("shape", [(ROWS, WIDTH), (2, ROWS, WIDTH), (2, 3, 8, WIDTH)])
@pytest.mark.parametrize(
    ("network", "count"),
    [
        (pruned(nn.Linear(WIDTH, 40 * 2)), 1),
        (pruned(nn.Linear(WIDTH, 48, bias=False)), 1),
        (Functional(), 2),
        (Residual(), 2),
        (nn.Linear(WIDTH, WIDTH), 0),
        (pruned(nn.Linear(WIDTH, WIDTH), 0.45), 0),
        (nn.Sequential(pruned(nn.Linear(WIDTH, WIDTH)), nn.GELU(), nn.Linear(WIDTH, 5)), 1),
    ],
)
def test_sparse_layers_are_replaced_and_the_answers_stay(
    network: nn.Module, count: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    x = torch.randn(shape)
    runtime = BlockSparse()
    exported = runtime.export(network.eval(), (x,), tmp_path)
    found = operations(ir.load(exported.path))
    assert found["BlockSparseLinear"] == count
    session = runtime.load(exported.path)
    with torch.no_grad():
        expected = network(x).numpy()
    np.testing.assert_allclose(session.run((x,))[0], expected, rtol=1e-5, atol=1e-5)


def test_a_bias_joins_its_layer() -> None:
    model = exported(pruned(nn.Linear(WIDTH, WIDTH)), torch.randn(2, ROWS, WIDTH))
    assert operations(model) == {"MatMul": 1, "Add": 1}
    assert replace_sparse_linears(model) == 1
    assert operations(model) == {"BlockSparseLinear": 1}


def test_a_weight_of_two_uses_is_stored_once() -> None:
    model = exported(Functional(), torch.randn(2, ROWS, WIDTH))
    replace_sparse_linears(model)
    first, second = (node for node in model.graph if node.op_type == "BlockSparseLinear")
    assert first.inputs[1:4] == second.inputs[1:4]
    assert not [name for name, value in model.graph.initializers.items() if not value.uses()]


def test_too_little_to_save_is_left_alone() -> None:
    rows = sparse_linears.LEAST_SAVED // (WIDTH * WIDTH)
    layer = pruned(nn.Linear(WIDTH, WIDTH), 0.75)
    assert replace_sparse_linears(exported(layer, torch.randn(rows, WIDTH))) == 0
    assert replace_sparse_linears(exported(layer, torch.randn(2 * rows, WIDTH))) == 1
