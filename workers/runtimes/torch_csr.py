"""Torch with the linear layers that are mostly zeros in compressed sparse rows (CSR).

The one way for unstructured zeros to save time here; what else the network has runs as in
`torch_eager`.
"""

import copy
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.exporting import exporting
from workers.runtimes.quiet import quiet
from workers.runtimes.runtime import ExportedNetwork
from workers.runtimes.torch_program import (
    TorchSession,
    export_program,
    load_program,
    use_threads,
)

ZERO_SHARE = 0.8
"""A linear layer with at least this share of zeros is kept in CSR.

Time against dense at 70, 80, 90, 95 % zeros: 1.3, 0.9, 0.4, 0.2 of it (512 to 2048, 64 rows); with
a single row only at 95 % is it less at all (0.6)."""


@torch.library.custom_op("archfront::csr_linear", mutates_args=())
def _csr_linear_op(
    x: Tensor, row_starts: Tensor, columns: Tensor, values: Tensor, bias: Tensor | None
) -> Tensor:
    return _csr_linear(x, _matrix(row_starts, columns, values, x.shape[-1]), bias)


@_csr_linear_op.register_fake
def _csr_linear_shape(x: Tensor, row_starts: Tensor, *_: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], row_starts.shape[0] - 1)


def _matrix(row_starts: Tensor, columns: Tensor, values: Tensor, width: int) -> Tensor:
    with quiet():  # torch calls its CSR a beta
        size = (row_starts.shape[0] - 1, width)
        return torch.sparse_csr_tensor(row_starts, columns, values, size, check_invariants=False)


def _csr_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x: ... x n, weight: k x n in CSR, bias: k; gives ... x k."""
    columns = x.reshape(-1, x.shape[-1]).t()  # torch's product is quick with CSR on the left
    product = weight @ columns if bias is None else torch.addmm(bias[:, None], weight, columns)
    return product.t().reshape(*x.shape[:-1], weight.shape[0])


class _CsrLinear(nn.Module):
    """Takes the place of a linear layer in the exported program."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        with quiet():
            weight = linear.weight.detach().to_sparse_csr()
        # int32, as the kernels take it: int64 would be converted at each inference
        self.register_buffer("row_starts", weight.crow_indices().to(torch.int32))
        self.register_buffer("columns", weight.col_indices().to(torch.int32))
        self.register_buffer("values", weight.values().clone())
        self.register_buffer("bias", linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """See `_csr_linear`."""
        product: Tensor = torch.ops.archfront.csr_linear(
            x, self.row_starts, self.columns, self.values, self.bias
        )
        return product


class TorchCsr:
    """Torch's sparse matrix products where they pay."""

    name: RuntimeName = "torch_csr"

    def version(self) -> str:
        """As `torch.__version__`."""
        return str(torch.__version__)

    def export(
        self,
        network: nn.Module,
        example: tuple[Tensor, ...],
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: Sequence[tuple[Tensor, ...]] = (),
    ) -> ExportedNetwork:
        """Writes `network.pt2`, zeros left out of what is kept in CSR; see `Runtime.export`."""
        path = folder / "network.pt2"
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            program = export_program(_in_csr(network), example, precision)
            torch.export.save(program, path)
            export_s = time.perf_counter() - start
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> TorchSession:
        """Loads `path`; `threads` holds for every torch session of this process."""
        program = load_program(self.name, path)
        use_threads(threads)
        module = program.module(check_guards=False)
        _make_matrices(module)
        return TorchSession(module.forward, len(program.graph_signature.user_inputs))


def _in_csr(network: nn.Module) -> nn.Module:
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear and _zero_share(layer.weight) >= ZERO_SHARE:
                setattr(parent, name, _CsrLinear(layer))
    return network.eval()


def _zero_share(weight: Tensor) -> float:
    return 1 - int(torch.count_nonzero(weight)) / weight.numel()


def _make_matrices(module: torch.fx.GraphModule) -> None:
    """Builds each CSR matrix once, where the program as it is would at every inference."""
    for node in list(module.graph.nodes):
        if node.target is not torch.ops.archfront.csr_linear.default:
            continue
        x, *parts, bias = node.args
        row_starts, columns, values = (module.get_buffer(part.target) for part in parts)
        name = f"csr_{node.name}"
        module.register_buffer(name, _matrix(row_starts, columns, values, x.meta["val"].shape[-1]))
        with module.graph.inserting_before(node):
            weight = module.graph.get_attr(name)
            node.replace_all_uses_with(
                module.graph.call_function(_csr_linear, (x, weight, bias)), propagate_meta=True
            )
        module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()
