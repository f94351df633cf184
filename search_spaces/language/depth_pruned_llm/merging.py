"""Merges two recovered networks by spherical linear interpolation of their weights.

[Shoemake1985] Shoemake, Animating Rotation with Quaternion Curves, SIGGRAPH 1985: the arc
    between two directions; the paper merges two self-distilled networks that were fine-tuned on
    different sets, tensor by tensor.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

_PARALLEL_SINE = 1e-6  # below it the arc is a straight line, and its formula divides by zero


def slerp(one: Tensor, other: Tensor, share: float) -> Tensor:
    """The point `share` of the way from `one` to `other` along their arc; of the shape of both.

    share: in [0, 1]; 0 gives `one`, 1 gives `other`. The angle is that between the tensors taken
    as vectors; where they point the same or the opposite way, or one is zero, the straight line
    is taken. Vectors of one length keep it, which the mean of them would not.
    """
    first, second = one.double().flatten(), other.double().flatten()
    lengths = first.norm() * second.norm()
    cosine = (first @ second / lengths).clamp(-1.0, 1.0) if lengths > 0 else torch.tensor(1.0)
    angle = cosine.double().arccos()
    if angle.sin() < _PARALLEL_SINE:
        merged = (1.0 - share) * first + share * second
    else:
        merged = ((1.0 - share) * angle).sin() * first + (share * angle).sin() * second
        merged = merged / angle.sin()
    return merged.reshape(one.shape).to(one.dtype)


def slerp_weights(
    one: Mapping[str, Tensor], other: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """The weights between those of two networks of one shape, each tensor by `slerp`.

    Raises: ValueError if the networks' weights differ in name or shape.
    """
    differing = sorted(one.keys() ^ other.keys()) or sorted(
        name for name, weight in one.items() if weight.shape != other[name].shape
    )
    if differing:
        raise ValueError(f"the networks differ in {differing[0]}; only equal shapes merge")
    return {
        name: slerp(weight, other[name], share) if weight.is_floating_point() else weight
        for name, weight in one.items()
    }
