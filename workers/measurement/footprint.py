"""Counts a network's weights and the work of one inference, on the torch module itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from service.domain.runtimes import Precision
from workers.measurement.off_chip_traffic import WIDTHS, OffChipTraffic
from workers.runtimes.quiet import quiet


@dataclass(frozen=True)
class Footprint:
    """weight_count: distinct weights, tied ones once; buffers are no weights.

    off_chip_bytes: see `OffChipTraffic`.
    """

    weight_count: int
    macs: int
    off_chip_bytes: int


def count_footprint(
    network: nn.Module, inputs: Sequence[torch.Tensor], precision: Precision = "fp32"
) -> Footprint:
    """Counts `network` and one inference of it on `inputs`; precision: of the numbers moved."""
    return Footprint(
        weight_count=sum(weight.numel() for weight in network.parameters()),
        macs=count_macs(network, inputs),
        off_chip_bytes=count_off_chip_bytes(network, inputs, precision),
    )


def count_nonzero_weights(network: nn.Module) -> int:
    """Distinct weights that are not zero, tied ones once."""
    return sum(int(torch.count_nonzero(weight)) for weight in network.parameters())


def count_macs(network: nn.Module, inputs: Sequence[torch.Tensor]) -> int:
    """Multiply-accumulate operations of one inference.

    Counted: matrix, matrix-vector and dot products, convolutions of all kinds, attention
    (both products), recurrent layers; dense, so zeros among the weights count as well, and masked
    positions too. Not counted: what is elementwise (bias, activation, norm, softmax), lookups,
    `nn.Bilinear`.
    """
    counter = FlopCounterMode(
        display=False,
        custom_mapping={
            torch.ops.aten.mv: _flops_of_product,
            torch.ops.aten.dot: _flops_of_product,
            torch.ops.aten.vdot: _flops_of_product,
        },
    )
    with torch.no_grad(), _without_fused_kernels(), counter:
        network(*inputs)
    return int(counter.get_total_flops()) // 2


def count_off_chip_bytes(
    network: nn.Module, inputs: Sequence[torch.Tensor], precision: Precision = "fp32"
) -> int:
    """Bytes that one inference moves if nothing stays on chip between operators: a model.

    Dense, as the operations above: zeros are moved as well. The network computes in its own
    precision here; only what its numbers weigh is that of `precision`.
    """
    traffic = OffChipTraffic(network, WIDTHS[precision])
    with torch.no_grad(), _without_fused_kernels(), traffic:
        network(*inputs)
    return traffic.moved_bytes


@contextmanager
def _without_fused_kernels() -> Iterator[None]:
    # The CPU's fused kernels for attention, encoder layers and LSTMs are single operations that
    # torch's counter does not know and counts as nothing.
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        # quiet: the switch also sets TF32, and warns that CPUs have none
        with quiet(), sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _flops_of_product(shape: tuple[int, ...], *_: Any, **__: Any) -> int:
    """Of a vector with the matrix or vector of this shape."""
    return 2 * prod(shape)
