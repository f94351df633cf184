"""Each searched parameter as an axis: the unit interval on one side, legal values on the other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    FixedParameter,
    FloatParameter,
    IntParameter,
    ParameterValue,
    same_value,
)


@dataclass(frozen=True)
class Axis:
    """One parameter that can vary.

    levels: how many values it has; 0 where it is continuous.
    bounds: of its value where it is continuous, else of the level.
    is_ordered: whether neighbouring levels are alike.
    """

    parameter: FloatParameter | IntParameter | ChoiceParameter | BoolParameter
    levels: int
    bounds: tuple[float, float]
    is_ordered: bool

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.parameter.name

    @property
    def is_log(self) -> bool:
        """Whether equal ratios are alike, rather than equal differences."""
        return getattr(self.parameter, "scale", "linear") == "log"

    def at_level(self, level: int) -> ParameterValue:
        """The value of a level, counted from 0."""
        parameter = self.parameter
        if isinstance(parameter, IntParameter):
            return parameter.low + level * parameter.step
        if isinstance(parameter, ChoiceParameter):
            return parameter.values[level]
        if isinstance(parameter, FloatParameter) and parameter.step is not None:
            return min(parameter.low + level * parameter.step, parameter.high)
        return bool(level)

    def level_of(self, value: ParameterValue) -> int:
        """The level of a legal value; the inverse of `at_level`."""
        parameter = self.parameter
        if isinstance(parameter, ChoiceParameter):
            return next(i for i, listed in enumerate(parameter.values) if same_value(listed, value))
        if isinstance(parameter, IntParameter):
            return (int(value) - parameter.low) // parameter.step
        if isinstance(parameter, FloatParameter) and parameter.step is not None:
            return round((float(value) - parameter.low) / parameter.step)
        return int(value)

    def from_unit(self, position: float) -> ParameterValue:
        """The value at `position` in [0, 1]: levels get equal shares, a log scale equal ratios."""
        parameter = self.parameter
        if isinstance(parameter, IntParameter) and parameter.scale == "log":
            spread = math.log((parameter.high + 1) / parameter.low)
            value = int(parameter.low * math.exp(position * spread))
            return min(max(value, parameter.low), parameter.high)
        if self.levels:
            return self.at_level(min(int(position * self.levels), self.levels - 1))
        low, high = self.bounds
        number = low * (high / low) ** position if self.is_log else low + position * (high - low)
        return min(max(number, low), high)

    def to_unit(self, value: ParameterValue) -> float:
        """A position that `from_unit` maps back to `value` (a float up to rounding)."""
        parameter = self.parameter
        if isinstance(parameter, IntParameter) and parameter.scale == "log":
            spread = math.log((parameter.high + 1) / parameter.low)
            return math.log((int(value) + 0.5) / parameter.low) / spread
        if self.levels:
            return (self.level_of(value) + 0.5) / self.levels
        low, high = self.bounds
        if self.is_log:
            return math.log(float(value) / low) / math.log(high / low)
        return (float(value) - low) / (high - low)

    @cached_property
    def spacing(self) -> tuple[float, float] | None:
        """(first, step) where level i has the number first + i * step; None otherwise."""
        parameter = self.parameter
        if isinstance(parameter, IntParameter):
            return float(parameter.low), float(parameter.step)
        if isinstance(parameter, FloatParameter) and parameter.step is not None:
            return parameter.low, parameter.step
        if isinstance(parameter, ChoiceParameter) and self.is_ordered:
            if any(isinstance(value, str | bool) for value in parameter.values):
                return None
            numbers = [float(value) for value in parameter.values]
            steps = {following - number for number, following in pairwise(numbers)}
            return (numbers[0], steps.pop()) if len(steps) == 1 else None
        return None


def axes_of(space: ParameterSpace) -> tuple[Axis, ...]:
    """An axis for every parameter that is not fixed, in listed order."""
    return tuple(
        _axis_of(parameter)
        for parameter in space.parameters
        if not isinstance(parameter, FixedParameter)
    )


def _axis_of(
    parameter: FloatParameter | IntParameter | ChoiceParameter | BoolParameter,
) -> Axis:
    if isinstance(parameter, IntParameter):
        levels = (parameter.high - parameter.low) // parameter.step + 1
    elif isinstance(parameter, ChoiceParameter):
        levels = len(parameter.values)
    elif isinstance(parameter, BoolParameter):
        levels = 2
    elif parameter.step is not None:
        # the tolerance keeps a last level that floating point puts a hair above `high`
        levels = math.floor((parameter.high - parameter.low) / parameter.step + 1e-9) + 1
    else:
        return Axis(parameter, 0, (parameter.low, parameter.high), is_ordered=True)
    is_ordered = not isinstance(parameter, ChoiceParameter) or parameter.is_ordered
    return Axis(parameter, levels, (0, levels - 1), is_ordered)


def assemble(space: ParameterSpace, values: Mapping[str, ParameterValue]) -> Arm:
    """The arm of a full assignment: fixed values added, inactive parameters dropped.

    It may still break a constraint: see `ParameterSpace.problems_with`.
    """
    complete = {
        parameter.name: parameter.value
        if isinstance(parameter, FixedParameter)
        else values[parameter.name]
        for parameter in space.parameters
    }
    return space.canonical(
        {parameter.name: complete[parameter.name] for parameter in space.active(complete)}
    )


def from_units(space: ParameterSpace, axes: Sequence[Axis], units: Sequence[float]) -> Arm:
    """The arm at a point of the unit cube; one coordinate per axis."""
    return assemble(
        space, {axis.name: axis.from_unit(u) for axis, u in zip(axes, units, strict=True)}
    )


def to_units(axes: Sequence[Axis], arm: Arm) -> list[float]:
    """The point of the unit cube of a legal arm; inactive parameters lie in the middle."""
    return [
        axis.to_unit(arm.parameters[axis.name]) if axis.name in arm.parameters else 0.5
        for axis in axes
    ]
