"""How many bytes a network's weights take once their zeros are packed away.

[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378: a 2:4
    weight keeps half of its values and two bits for each, 9/16 of the dense size at 16 bits.
"""

import math
from collections.abc import Mapping

from torch import Tensor, nn

from search_spaces.compression.patterns import Pattern, tile_of

VALUE_BYTES = 2
"""Of a value on the device: fp16 or bf16."""


def packed_bytes(weights: int, kept: int, pattern: Pattern, value_bytes: int = VALUE_BYTES) -> int:
    """Of one sparse tensor: the values that stay, and one bit for each block that could go.

    weights: how many there are; kept: how many stay. Two bits for each of the two values of a
    group of four are one bit for each weight, the same as a bit map of single weights; blocks
    have one bit each. Never more than the dense tensor.
    """
    height, width = (1, 1) if pattern == "two_of_four" else tile_of(pattern)
    places = math.ceil(weights / (height * width) / 8)
    return min(kept * value_bytes + places, weights * value_bytes)


def network_bytes(
    network: nn.Module,
    masks: Mapping[str, Tensor],
    pattern: Pattern,
    value_bytes: int = VALUE_BYTES,
) -> int:
    """Of all parameters: those with a mask packed, the others dense.

    masks: by the names of the parameters; a mask counts, not the zeros that training left beside.
    """
    total = 0
    for name, weight in network.named_parameters():
        mask = masks.get(name)
        if mask is None:
            total += weight.numel() * value_bytes
        else:
            total += packed_bytes(weight.numel(), int(mask.sum()), pattern, value_bytes)
    return total
