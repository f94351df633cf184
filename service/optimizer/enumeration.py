"""Every legal arm of a small discrete space."""

import math
from collections.abc import Iterator
from itertools import product

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from service.optimizer.axes import assemble, axes_of

MAX_ENUMERATED_ARMS = 20_000
"""Above it, drawing new arms at random hits a known one seldom enough."""


def arm_count_bound(space: ParameterSpace) -> float:
    """At most so many arms are legal; infinite where a float has no step."""
    levels = [axis.levels for axis in axes_of(space)]
    return math.inf if 0 in levels else math.prod(levels)


def every_legal_arm(space: ParameterSpace) -> Iterator[Arm]:
    """Each legal arm once, in the order of the levels; for a finite space only."""
    axes = axes_of(space)
    given: set[str] = set()
    for levels in product(*(range(axis.levels) for axis in axes)):
        arm = assemble(
            space, {axis.name: axis.at_level(n) for axis, n in zip(axes, levels, strict=True)}
        )
        # assignments that differ only in inactive parameters are one arm
        if arm.signature not in given and space.contains(arm):
            given.add(arm.signature)
            yield arm
