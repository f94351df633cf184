"""Replaces the linear layers of an ONNX network that are sparse in blocks by block-sparse ones.

`O` outputs, `I` inputs of a layer; a block is `BLOCK` outputs x 1 input, as
`search_spaces.compression.masks.block_mask(weight, sparsity, (16, 1))` leaves them in the weight
of an `nn.Linear`.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnxscript import ir

BLOCK = 16
"""Outputs of a block; as in block_sparse.h."""

DOMAIN = "archfront"
"""Of the operation `BlockSparseLinear`; as in block_sparse.cpp."""

LEAST_SPARSITY = 0.5
"""The share of a layer's blocks that must be zero for the layer to be replaced."""

LEAST_SAVED = 65_536
"""The multiplications that a layer must save per inference to be replaced.

OpenVINO hands over to an operation of ours in 1 us, which is as long as they take.
"""

_GEMM: dict[str, float] = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}  # by default
_LINEAR_GEMM = _GEMM | {"transB": 1}  # as `nn.Linear` exports


@dataclass(frozen=True)
class BlockSparseWeight:
    """The blocks of a weight that are not all zero, as block_sparse.h describes them.

    values: K x BLOCK, float32; columns: K; starts: O / BLOCK, rounded up, + 1; both int32.
    sparsity: the share of the blocks that are not among them.
    """

    values: NDArray[np.float32]
    columns: NDArray[np.int32]
    starts: NDArray[np.int32]
    sparsity: float


def pack(weight: NDArray[np.float32]) -> BlockSparseWeight:
    """weight: O x I; where BLOCK does not divide O, the last blocks are filled up with zeros."""
    outputs, inputs = weight.shape
    filled = np.zeros((-(-outputs // BLOCK) * BLOCK, inputs), np.float32)
    filled[:outputs] = weight
    blocks = filled.reshape(-1, BLOCK, inputs)
    kept = blocks.any(axis=1)  # block rows x I
    rows, columns = np.nonzero(kept)
    starts = np.concatenate([[0], kept.sum(axis=1).cumsum()])
    return BlockSparseWeight(
        values=blocks[rows, :, columns],
        columns=columns.astype(np.int32),
        starts=starts.astype(np.int32),
        sparsity=1.0 - len(columns) / kept.size,
    )


@dataclass(frozen=True)
class _Linear:
    """A product with a constant weight, and the bias added to it.

    nodes: those that compute it, in their order; the last gives its output.
    """

    weight: NDArray[np.float32]  # O x I
    x: ir.Value
    bias: ir.Value | None
    nodes: list[ir.Node]


def replace_sparse_linears(
    model: ir.Model, least_sparsity: float = LEAST_SPARSITY, least_saved: int = LEAST_SAVED
) -> int:
    """Replaces every layer of `model` that is sparse enough, and says how many.

    A layer is whatever multiplies by a constant weight, of whichever module. A weight that several
    layers share is stored once, though the exporter made a copy for each.
    """
    graph = model.graph
    stored: dict[str, list[ir.Value]] = {}
    replaced = 0
    for node in list(graph):
        linear = _linear_at(node)
        if linear is None:
            continue
        packed = pack(linear.weight)
        saved = packed.sparsity * linear.weight.size * _rows(linear.x)
        if packed.sparsity < least_sparsity or saved < least_saved:
            continue
        parts = {"values": packed.values, "columns": packed.columns, "starts": packed.starts}
        content = hashlib.sha256(b"".join(map(bytes, parts.values()))).hexdigest()[:12]
        if content not in stored:
            stored[content] = [
                _store(graph, f"block_sparse.{content}.{name}", array)
                for name, array in parts.items()
            ]
        _replace(graph, linear, stored[content])
        replaced += 1
    if replaced:
        graph.opset_imports[DOMAIN] = 1
    RemoveUnusedNodesPass()(model)
    return replaced


def _replace(graph: ir.Graph, linear: _Linear, weight: list[ir.Value]) -> None:
    last = linear.nodes[-1]
    bias = linear.bias
    if bias is None:
        zeros = np.zeros(len(linear.weight), np.float32)
        bias = _store(graph, f"{last.outputs[0].name}.bias", zeros)
    new = ir.node("BlockSparseLinear", [linear.x, *weight, bias], domain=DOMAIN)
    ir.convenience.replace_nodes_and_values(
        graph, last, linear.nodes, [new], last.outputs, new.outputs
    )


def _rows(x: ir.Value) -> int:
    """The rows that a layer multiplies in one inference; 1 where the exporter tells none."""
    sizes = [] if x.shape is None else list(x.shape)[:-1]
    return math.prod(size for size in sizes if isinstance(size, int))


def _linear_at(node: ir.Node) -> _Linear | None:
    """The layer whose product `node` is, if it is one."""
    if node.domain or node.op_type not in {"MatMul", "Gemm"}:
        return None
    x, weight = node.inputs[0], _constant(node.inputs[1])
    if x is None or weight is None or weight.ndim != 2:
        return None
    if node.op_type == "MatMul":
        return _with_added_bias(_Linear(weight.T, x, None, [node]))
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    bias = node.inputs[2] if len(node.inputs) == 3 else None
    if {**_GEMM, **attributes} != _LINEAR_GEMM or not _is_bias(bias, len(weight)):
        return None
    return _Linear(weight, x, bias, [node])


def _with_added_bias(linear: _Linear) -> _Linear:
    """`linear` with the addition after it, where that is all that its product is used for."""
    product = linear.nodes[-1].outputs[0]
    if product.is_graph_output() or len(product.uses()) != 1:
        return linear
    (use,) = product.uses()
    added = use.node
    if added.domain or added.op_type != "Add":
        return linear
    bias = added.inputs[1 - use.idx]
    if bias is None or not _is_bias(bias, len(linear.weight)):
        return linear
    return replace(linear, bias=bias, nodes=[*linear.nodes, added])


def _is_bias(value: ir.Value | None, outputs: int) -> bool:
    """Whether it may be added to `outputs` outputs as their bias; None is none to add."""
    if value is None:
        return True
    constant = _constant(value)
    return constant is not None and constant.shape == (outputs,)


def _constant(value: ir.Value | None) -> NDArray[np.float32] | None:
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return tensor.numpy() if tensor is not None and tensor.dtype == ir.DataType.FLOAT else None


def _store(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    value = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.register_initializer(value)
    return value
