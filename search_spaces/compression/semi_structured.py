"""2:4 weights in the packed format of NVIDIA's sparse tensor cores, through torch.

[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378, section 3.

torch multiplies by cuSPARSELt where it was built with it, else by CUTLASS. Whether that is quicker
than dense depends on shapes, card and versions: measure it (benchmarks/two_four) before using it.
"""

from collections.abc import Collection

import torch
from torch import nn
from torch.sparse import to_sparse_semi_structured

from search_spaces.compression.two_of_four import require_two_of_four

LEAST_CAPABILITY = (8, 0)
"""Of Ampere, the first generation with sparse tensor cores."""

_TILES = {torch.float16: (32, 64), torch.bfloat16: (32, 64), torch.int8: (32, 128)}
# rows and columns that both back ends take


class NoSparseTensorCores(RuntimeError):
    """There is no NVIDIA GPU of compute capability 8.0 or later."""


def has_sparse_tensor_cores() -> bool:
    """Whether the present GPU has them, and torch is built for it."""
    return (
        torch.version.cuda is not None
        and torch.cuda.is_available()
        and torch.cuda.get_device_capability() >= LEAST_CAPABILITY
    )


def packs(weight: torch.Tensor) -> bool:
    """Whether the packed format takes a weight of this type and shape, outputs x inputs."""
    tile = _TILES.get(weight.dtype)
    return (
        tile is not None
        and weight.ndim == 2
        and weight.shape[0] % tile[0] == 0
        and weight.shape[1] % tile[1] == 0
    )


def pack_linear_layers(network: nn.Module, names: Collection[str]) -> list[str]:
    """Replaces the named 2:4 weights of linear layers by packed ones; gives those replaced.

    network: on the GPU, in fp16 or bf16, trained: packed weights take no gradient here.
    names: as in `named_parameters`. Those whose shape the format does not take stay dense, as
        do convolutions, for which torch has no sparse kernel.
    Raises: NoSparseTensorCores; NotTwoOfFour.
    """
    if not has_sparse_tensor_cores():
        raise NoSparseTensorCores(str(NoSparseTensorCores.__doc__))
    replaced = []
    for layer, module in network.named_modules():
        name = f"{layer}.weight" if layer else "weight"
        if not isinstance(module, nn.Linear) or name not in names or not packs(module.weight):
            continue
        require_two_of_four([(name, module.weight)])
        packed = to_sparse_semi_structured(module.weight.detach())
        module.weight = nn.Parameter(packed, requires_grad=False)
        replaced.append(name)
    return replaced
