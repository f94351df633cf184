"""In which patterns zeros may lie, which weights each pattern tiles, and its masks.

[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from torch import Tensor

from search_spaces.compression.masks import block_mask, two_of_four_mask, unstructured_mask

Pattern = Literal["two_of_four", "unstructured", "block_1x8", "block_8x1", "block_16x1"]

PATTERNS: tuple[Pattern, ...] = get_args(Pattern)

_TILES: Mapping[Pattern, tuple[int, int]] = {
    "two_of_four": (1, 4),
    "unstructured": (1, 1),
    "block_1x8": (1, 8),
    "block_8x1": (8, 1),
    "block_16x1": (16, 1),
}

TWO_OF_FOUR_SPARSITY = 0.5


def tile_of(pattern: Pattern) -> tuple[int, int]:
    """Outputs x input channels that the pattern treats as one: a block, or a group of four."""
    return _TILES[pattern]


def fits(pattern: Pattern, outputs: int, channels: int) -> bool:
    """Whether the pattern tiles a layer of so many outputs and input channels.

    Channels, not columns of the reduction: no group reaches from one kernel position into the
    next.
    """
    height, width = _TILES[pattern]
    return outputs % height == 0 and channels % width == 0


def pattern_mask(pattern: Pattern, scores: Tensor, sparsity: float) -> Tensor:
    """True where a weight stays.

    scores: outputs x reduction, at least 0; of groups and blocks those of largest scores stay.
    sparsity: the share of the weights that goes, in [0, 1].
    Raises: ValueError if the pattern does not tile the scores or cannot have that sparsity, which
        of `two_of_four` is one half [Mishra2021].
    """
    if pattern == "two_of_four":
        if sparsity != TWO_OF_FOUR_SPARSITY:
            raise ValueError(f"2:4 drops one half, not {sparsity}")
        return two_of_four_mask(scores)
    if pattern == "unstructured":
        return unstructured_mask(scores, sparsity)
    return block_mask(scores, sparsity, _TILES[pattern])
