"""Which neurons and heads to keep: those whose weights are largest.

[Li2017] Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv 1608.08710.
[Michel2019] Michel et al., Are Sixteen Heads Really Better than One?, arXiv 1905.10650.
"""

import torch
from torch import Tensor
from torch.linalg import vector_norm


def kept_count(total: int, sparsity: float) -> int:
    """How many of `total` units stay at this sparsity in [0, 1); never fewer than one."""
    if not 0.0 <= sparsity < 1.0:
        raise ValueError(f"sparsity must lie in [0, 1), got {sparsity}")
    return max(1, round(total * (1.0 - sparsity)))


def neuron_scores(incoming: Tensor, outgoing: Tensor) -> Tensor:
    """The magnitude of each hidden neuron: norm of its incoming times that of its outgoing weights.

    incoming: neurons x inputs; outgoing: outputs x neurons. Gives one score per neuron. The
    product does not change when a ReLU neuron's two sides are rescaled against each other,
    which the norm of one side alone [Li2017] does.
    """
    scores: Tensor = vector_norm(incoming, dim=1) * vector_norm(outgoing, dim=0)
    return scores


def head_scores(value: Tensor, output: Tensor, heads: int) -> Tensor:
    """The magnitude of each attention head: norm of its value times that of its output weights.

    value: heads*head_dim x width; output: width x heads*head_dim. Gives one score per head.
    A proxy by weights alone for the gradient-based importance of [Michel2019].
    """
    value_norms = vector_norm(value.reshape(heads, -1), dim=1)
    output_norms = vector_norm(output.reshape(output.shape[0], heads, -1), dim=(0, 2))
    scores: Tensor = value_norms * output_norms
    return scores


def largest(scores: Tensor, count: int) -> Tensor:
    """The indices of the `count` largest scores, in rising order; among equals the first stay."""
    if not 0 < count <= len(scores):
        raise ValueError(f"cannot keep {count} of {len(scores)} units")
    order = torch.sort(scores, descending=True, stable=True).indices
    return order[:count].sort().values


def head_rows(kept_heads: Tensor, head_dim: int) -> Tensor:
    """The rows (of query, key, value; columns of output) that belong to the given heads."""
    offsets = torch.arange(head_dim, device=kept_heads.device)
    return (kept_heads.unsqueeze(1) * head_dim + offsets).reshape(-1)
