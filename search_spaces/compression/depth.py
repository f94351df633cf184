"""Which layers to drop from a trained stack of residual layers.

[Gromov2024] Gromov et al., The Unreasonable Ineffectiveness of the Deeper Layers,
    arXiv 2403.17887: the contiguous block whose ends are most alike.
[Fan2019] Fan et al., Reducing Transformer Depth on Demand with Structured Dropout,
    arXiv 1909.11556: every other layer.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

DepthCriterion = Literal["angular", "alternate", "last"]


def angular_distances(hidden_states: Sequence[Tensor], block: int) -> Tensor:
    """How much each run of `block` layers turns the hidden state; smaller is more redundant.

    hidden_states: L + 1 tensors, n x width, row i of each the same place: what enters layer
        0, 1, ... and what leaves the last, before any final norm.
    Gives L - block + 1 means over the rows of arccos(cosine)/pi, each in [0, 1], the entry l
    for the layers l to l + block - 1. [Gromov2024] takes the last token only, which suits a
    causal decoder; where every place is read out, pass every place.
    """
    layers = len(hidden_states) - 1
    if not 1 <= block <= layers:
        raise ValueError(f"block must lie in [1, {layers}], got {block}")
    distances = []
    for start in range(layers - block + 1):
        cosine = torch.cosine_similarity(
            hidden_states[start].double(), hidden_states[start + block].double(), dim=-1
        )
        distances.append((cosine.clamp(-1.0, 1.0).arccos() / math.pi).mean())
    return torch.stack(distances)


def layers_to_drop(
    criterion: DepthCriterion, count: int, hidden_states: Sequence[Tensor]
) -> list[int]:
    """The numbers of the `count` layers to drop, in rising order; at least one layer stays.

    hidden_states: as in `angular_distances`; only `angular` looks into them.
    """
    layers = len(hidden_states) - 1
    if not 0 <= count < layers:
        raise ValueError(f"cannot drop {count} of {layers} layers; one must stay")
    if count == 0:
        return []
    if criterion == "angular":
        start = int(angular_distances(hidden_states, count).argmin())
        return list(range(start, start + count))
    if criterion == "alternate":
        return [int((place + 0.5) * layers / count) for place in range(count)]
    return list(range(layers - count, layers))
