"""Legal arms around given ones: what local search compares."""

from collections.abc import Sequence

import numpy as np

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import ParameterValue
from service.optimizer.axes import Axis, assemble, axes_of
from service.optimizer.projection import nearest_legal

_SPREAD = 0.15
"""Standard deviation of a change, as a share of the axis."""
_MAX_CHANGED = 3


def legal_neighbours(
    space: ParameterSpace, arms: Sequence[Arm], count: int, rng: np.random.Generator
) -> list[Arm]:
    """At most `count` legal arms that differ from one of `arms` in one to three parameters.

    A change that breaks a constraint is moved back onto it.
    """
    axes = axes_of(space)
    found: dict[str, Arm] = {}
    for number in range(count if arms and axes else 0):
        arm = _changed(space, axes, arms[number % len(arms)], rng)
        legal = arm if space.contains(arm) else nearest_legal(space, axes, arm)
        if legal is not None:
            found.setdefault(legal.signature, legal)
    return list(found.values())


def _changed(
    space: ParameterSpace, axes: Sequence[Axis], arm: Arm, rng: np.random.Generator
) -> Arm:
    values = {axis.name: arm.parameters.get(axis.name, axis.from_unit(0.5)) for axis in axes}
    most = min(_MAX_CHANGED, len(axes))
    for index in rng.choice(len(axes), size=int(rng.integers(1, most + 1)), replace=False):
        axis = axes[int(index)]
        values[axis.name] = _step(axis, values[axis.name], rng)
    return assemble(space, values)


def _step(axis: Axis, value: ParameterValue, rng: np.random.Generator) -> ParameterValue:
    if not axis.is_ordered or axis.levels == 2:
        others = [n for n in range(axis.levels) if n != axis.level_of(value)]
        return axis.at_level(int(rng.choice(others)))
    moved = axis.from_unit(float(np.clip(axis.to_unit(value) + rng.normal(0, _SPREAD), 0, 1)))
    if axis.levels and moved == value:
        levels = [axis.level_of(value) - 1, axis.level_of(value) + 1]
        return axis.at_level(int(rng.choice([n for n in levels if 0 <= n < axis.levels])))
    return moved
