"""A search space in Ax's terms, and its arms there and back.

Ax sees neutral names (`x0`, `x1`), so that no name of ours can break its expressions, and
every parameter as a number: a value, a logarithm or the position of a level. So steps, log
scales and ordered choices all become plain ranges, and a conditional parameter that is
inactive takes the middle of its range, which the arm made of it leaves out again.
"""

import math
from collections.abc import Mapping
from functools import cached_property

from ax.core.parameter import ChoiceParameter, ParameterType, RangeParameter
from ax.core.parameter import Parameter as AxParameter
from ax.core.parameter_constraint import ParameterConstraint as AxParameterConstraint
from ax.core.search_space import SearchSpace as AxSearchSpace

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterConstraint, ParameterSpace
from search_spaces.parameters import FixedParameter, IntParameter, ParameterValue
from service.optimizer.axes import Axis, assemble, axes_of

MAX_LEVELS_DISCRETE = 20
"""Ordered levels beyond this are searched as a continuum and rounded; Ax's own limit too."""

_SLACK = 1e-6
"""Share of a constraint's reach by which Ax is told a looser bound.

Ax leaves a trial that breaks a constraint, be it by a rounding error, out of its baseline; on
the bound is where the best arms often lie. What Ax then proposes is moved back onto the bound.
"""


class AxSpace:
    """A parameter space as Ax searches it."""

    def __init__(self, space: ParameterSpace) -> None:
        self.space = space
        self.axes = {f"x{number}": axis for number, axis in enumerate(axes_of(space))}

    @cached_property
    def search_space(self) -> AxSearchSpace:
        """Ranges, unordered choices and those linear constraints that Ax can keep."""
        return AxSearchSpace(
            parameters=[_ax_parameter(name, axis) for name, axis in self.axes.items()],
            parameter_constraints=[
                AxParameterConstraint(inequality=inequality)
                for constraint in self.space.constraints
                if (inequality := self._inequality(constraint)) is not None
            ],
        )

    @property
    def discrete_sizes(self) -> list[int]:
        """Numbers of levels of the ordered axes that Ax searches level by level."""
        return [
            axis.levels
            for axis in self.axes.values()
            if _is_discrete(axis) and not _is_one_hot(axis)
        ]

    @property
    def is_discrete(self) -> bool:
        """Whether Ax searches every axis level by level."""
        return len(self.discrete_sizes) == len(self.axes)

    def encode(self, arm: Arm) -> dict[str, int | float]:
        """The coordinates of a legal arm."""
        return {
            name: _coordinate(axis, arm.parameters[axis.name])
            if axis.name in arm.parameters
            else _middle(axis)
            for name, axis in self.axes.items()
        }

    def decode(self, coordinates: Mapping[str, int | float]) -> Arm:
        """The arm at the given coordinates; a constraint may be broken, everything else holds."""
        return assemble(
            self.space,
            {axis.name: _value(axis, float(coordinates[name])) for name, axis in self.axes.items()},
        )

    def _inequality(self, constraint: ParameterConstraint) -> str | None:
        """The constraint over coordinates; None where it is not linear in these."""
        names = {axis.name: name for name, axis in self.axes.items()}
        terms: dict[str, float] = {}
        bound, reach = constraint.upper_bound, 0.0
        for parameter_name, coefficient in constraint.coefficients.items():
            parameter = self.space.by_name[parameter_name]
            if parameter.when is not None:
                return None
            if isinstance(parameter, FixedParameter):
                bound -= coefficient * float(parameter.value)
                continue
            axis = self.axes[names[parameter_name]]
            first, step = (0.0, 1.0) if not axis.levels else axis.spacing or (0.0, 0.0)
            if step == 0:
                return None
            bound -= coefficient * first
            if coefficient != 0:
                terms[names[parameter_name]] = coefficient * step
            reach += abs(coefficient * step) * (axis.bounds[1] - axis.bounds[0])
        if not terms:
            return None
        bound += _SLACK * reach
        total = " + ".join(f"{factor!r} * {name}" for name, factor in terms.items())
        return f"{total} <= {bound!r}"


def _is_discrete(axis: Axis) -> bool:
    return bool(axis.levels) and (axis.levels <= MAX_LEVELS_DISCRETE or not axis.is_ordered)


def _is_one_hot(axis: Axis) -> bool:
    return not axis.is_ordered and axis.levels > 2


def _ax_parameter(name: str, axis: Axis) -> AxParameter:
    if _is_one_hot(axis):
        return ChoiceParameter(
            name=name,
            parameter_type=ParameterType.INT,
            values=list(range(axis.levels)),
            is_ordered=False,
            sort_values=False,
            bypass_cardinality_check=True,
        )
    if _is_discrete(axis) and axis.is_log:
        return ChoiceParameter(
            name=name,
            parameter_type=ParameterType.FLOAT,
            values=[_coordinate(axis, axis.at_level(level)) for level in range(axis.levels)],
            is_ordered=True,
            sort_values=True,
        )
    low, high = axis.bounds
    if axis.is_log:
        ends = (low, high) if not axis.levels else (axis.at_level(0), axis.at_level(int(high)))
        low, high = (math.log10(float(end)) for end in ends)
    if _is_discrete(axis):
        return RangeParameter(name, ParameterType.INT, lower=int(low), upper=int(high))
    return RangeParameter(name, ParameterType.FLOAT, lower=float(low), upper=float(high))


def _coordinate(axis: Axis, value: ParameterValue) -> int | float:
    if axis.is_log:
        return math.log10(float(value))
    return axis.level_of(value) if axis.levels else float(value)


def _middle(axis: Axis) -> int | float:
    if axis.levels:
        return _coordinate(axis, axis.at_level((axis.levels - 1) // 2))
    return _coordinate(axis, axis.from_unit(0.5))


def _value(axis: Axis, coordinate: float) -> ParameterValue:
    low, high = axis.bounds
    if axis.is_log and isinstance(axis.parameter, IntParameter):
        value = round(math.pow(10.0, coordinate))
        return min(max(value, axis.parameter.low), axis.parameter.high)
    if axis.levels:
        return axis.at_level(int(min(max(round(coordinate), low), high)))
    return min(max(math.pow(10.0, coordinate) if axis.is_log else coordinate, low), high)
