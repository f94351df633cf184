"""Which single weights to keep: those of largest magnitude, freely or in a pattern.

[Han2015] Han et al., Learning both Weights and Connections, NeurIPS 2015, arXiv 1506.02626.
[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378.

All give a bool tensor of the weight's shape, True where the weight stays; among equal
magnitudes the first in memory order stays, so that a mask is a function of the weight alone.
Scores of another criterion, none below 0, may stand in the weight's place.
"""

import torch
from torch import Tensor


def _largest(scores: Tensor, count: int) -> Tensor:
    """True at the `count` largest scores of a vector."""
    order = torch.sort(scores, descending=True, stable=True).indices
    kept = torch.zeros_like(scores, dtype=torch.bool)
    kept[order[:count]] = True
    return kept


def _check(sparsity: float) -> None:
    if not 0.0 <= sparsity <= 1.0:
        raise ValueError(f"sparsity must lie in [0, 1], got {sparsity}")


def unstructured_mask(weight: Tensor, sparsity: float) -> Tensor:
    """Drops the share `sparsity` of the weights, the smallest of the whole tensor [Han2015]."""
    _check(sparsity)
    count = weight.numel() - round(sparsity * weight.numel())
    return _largest(weight.detach().abs().flatten(), count).view(weight.shape)


def block_mask(weight: Tensor, sparsity: float, block: tuple[int, int]) -> Tensor:
    """Drops the share `sparsity` of the blocks (rows x columns), those of least L1 norm.

    weight: rows x columns, both divisible by the block's; of an `nn.Linear`, outputs x inputs.
    Blocks of 16 x 1 (16 outputs of one input) are what the runtime `block_sparse` gains from.
    """
    _check(sparsity)
    rows, columns = weight.shape
    height, width = block
    if rows % height or columns % width:
        raise ValueError(f"blocks of {height} x {width} do not tile a weight of {rows} x {columns}")
    tiles = weight.detach().abs().view(rows // height, height, columns // width, width)
    norms = tiles.sum(dim=(1, 3))
    kept = _largest(norms.flatten(), norms.numel() - round(sparsity * norms.numel()))
    tiled = kept.view(norms.shape).repeat_interleave(height, 0).repeat_interleave(width, 1)
    return tiled.contiguous()


def two_of_four_mask(weight: Tensor) -> Tensor:
    """Keeps the two largest of every four consecutive weights along the last axis [Mishra2021].

    The pattern of sparse tensor cores; the last axis (a linear layer's inputs) must divide by 4.
    """
    if weight.shape[-1] % 4:
        raise ValueError(f"2:4 needs a last axis divisible by 4, got {weight.shape[-1]}")
    fours = weight.detach().abs().reshape(-1, 4)
    order = torch.sort(fours, dim=1, descending=True, stable=True).indices
    kept = torch.zeros_like(fours, dtype=torch.bool)
    kept.scatter_(1, order[:, :2], value=True)
    return kept.view(weight.shape)
