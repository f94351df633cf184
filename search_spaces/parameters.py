"""The parameters of a search space: float, int, choice, bool and fixed, each maybe conditional."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from search_spaces.values import Name, ShortText, Value

ParameterValue = StrictBool | StrictInt | StrictFloat | ShortText
"""What an arm may assign. Strict, so that `true`, `1`, `1.0` and `"1"` stay four values."""

LARGEST_EXACT_INT = 2**53
"""Beyond it a JSON number is no longer exact in every client."""

MAX_CHOICES = 1_000

_STEP_TOLERANCE = 1e-9  # relative; a grid point computed in floating point may miss by this much


class Condition(Value):
    """The parameter exists only where `parameter` takes one of `values`."""

    parameter: Name
    values: Annotated[tuple[ParameterValue, ...], Field(min_length=1, max_length=MAX_CHOICES)]


def _is_number(value: ParameterValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def same_value(one: ParameterValue, other: ParameterValue) -> bool:
    """Whether two values are equal and of one kind: `True` is not `1`, while `1` is `1.0`."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _on_grid(value: float, low: float, step: float) -> bool:
    steps = (value - low) / step
    return abs(steps - round(steps)) <= _STEP_TOLERANCE * max(1.0, abs(steps))


class FloatParameter(Value):
    """A real number in [low, high]; `scale: log` searches its logarithm, `step` a grid from low."""

    type: Literal["float"] = "float"
    name: Name
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    step: Annotated[float, Field(gt=0)] | None = None
    when: Condition | None = None

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        if not self.low < self.high:
            raise ValueError(
                f"low ({self.low}) must be below high ({self.high}); "
                "swap them, or use type: fixed for a single value"
            )
        if not math.isfinite(self.high - self.low):
            raise ValueError("the range is wider than a double can hold; narrow low and high")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"scale: log needs low > 0, got {self.low}; raise low or use linear")
        if self.step is not None:
            if self.scale == "log":
                raise ValueError("step and scale: log exclude each other; drop one of them")
            if self.step > (self.high - self.low) * (1 + _STEP_TOLERANCE):
                raise ValueError(
                    f"step ({self.step}) exceeds high - low ({self.high - self.low}); shrink it"
                )
        return self

    def problem_with(self, value: ParameterValue) -> str | None:
        """Why `value` is not allowed, with the remedy; None if it is allowed."""
        if not _is_number(value):
            return f"needs a number, got {value!r}"
        number = float(value)
        # `not (low <= number <= high)` also refuses NaN
        if not self.low <= number <= self.high:
            return f"needs a number in [{self.low}, {self.high}], got {value!r}"
        if self.step is not None and not _on_grid(number, self.low, self.step):
            return f"needs {self.low} + a multiple of {self.step}, got {value!r}"
        return None

    def canonical(self, value: ParameterValue) -> ParameterValue:
        """The one spelling of an allowed value: a float."""
        return float(value)


class IntParameter(Value):
    """A whole number in [low, high]; `scale: log` searches its logarithm, `step` a grid."""

    type: Literal["int"] = "int"
    name: Name
    low: Annotated[int, Field(ge=-LARGEST_EXACT_INT, le=LARGEST_EXACT_INT)]
    high: Annotated[int, Field(ge=-LARGEST_EXACT_INT, le=LARGEST_EXACT_INT)]
    scale: Literal["linear", "log"] = "linear"
    step: Annotated[int, Field(gt=0)] = 1
    when: Condition | None = None

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        if not self.low < self.high:
            raise ValueError(
                f"low ({self.low}) must be below high ({self.high}); "
                "swap them, or use type: fixed for a single value"
            )
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"scale: log needs low > 0, got {self.low}; raise low or use linear")
        if self.scale == "log" and self.step != 1:
            raise ValueError("step and scale: log exclude each other; drop one of them")
        if (self.high - self.low) % self.step:
            below = self.high - (self.high - self.low) % self.step
            raise ValueError(
                f"step ({self.step}) from low ({self.low}) never reaches high ({self.high}); "
                f"the last point is {below}"
            )
        return self

    def problem_with(self, value: ParameterValue) -> str | None:
        """Why `value` is not allowed, with the remedy; None if it is allowed."""
        whole = _is_number(value) and float(value).is_integer()
        if not whole:
            return f"needs a whole number, got {value!r}"
        number = int(value)
        if not self.low <= number <= self.high:
            return f"needs a whole number in [{self.low}, {self.high}], got {value!r}"
        if (number - self.low) % self.step:
            return f"needs {self.low} + a multiple of {self.step}, got {value!r}"
        return None

    def canonical(self, value: ParameterValue) -> ParameterValue:
        """The one spelling of an allowed value: an int."""
        return int(value)


class ChoiceParameter(Value):
    """One of `values`; `ordered` tells the surrogate that neighbours in the list are alike.

    `ordered` left out means: ordered if all values are numbers in rising order.
    """

    type: Literal["choice"] = "choice"
    name: Name
    values: Annotated[tuple[ParameterValue, ...], Field(min_length=2, max_length=MAX_CHOICES)]
    ordered: bool | None = None
    when: Condition | None = None

    @model_validator(mode="after")
    def _values_differ_and_are_of_one_kind(self) -> Self:
        kinds = {
            "bool" if isinstance(v, bool) else "str" if isinstance(v, str) else "number"
            for v in self.values
        }
        if len(kinds) > 1:
            raise ValueError(
                f"values must be of one kind, got {' and '.join(sorted(kinds))}; quote them all"
            )
        repeated = sorted({str(v) for v in self.values if self.values.count(v) > 1})
        if repeated:
            raise ValueError(f"values repeat {', '.join(repeated)}; list each value once")
        return self

    @property
    def is_ordered(self) -> bool:
        """Whether neighbours in `values` are alike."""
        if self.ordered is not None:
            return self.ordered
        numbers = [float(v) for v in self.values if _is_number(v)]
        return len(numbers) == len(self.values) and numbers == sorted(numbers)

    def problem_with(self, value: ParameterValue) -> str | None:
        """Why `value` is not allowed, with the remedy; None if it is allowed."""
        if any(same_value(value, allowed) for allowed in self.values):
            return None
        return f"needs one of {', '.join(map(repr, self.values))}, got {value!r}"

    def canonical(self, value: ParameterValue) -> ParameterValue:
        """The one spelling of an allowed value: the one listed in `values`."""
        return next(allowed for allowed in self.values if same_value(value, allowed))


class BoolParameter(Value):
    """True or false."""

    type: Literal["bool"] = "bool"
    name: Name
    when: Condition | None = None

    def problem_with(self, value: ParameterValue) -> str | None:
        """Why `value` is not allowed, with the remedy; None if it is allowed."""
        return None if isinstance(value, bool) else f"needs true or false, got {value!r}"

    def canonical(self, value: ParameterValue) -> ParameterValue:
        """The value itself."""
        return value


class FixedParameter(Value):
    """One value for every arm: recorded with the trial, not searched."""

    type: Literal["fixed"] = "fixed"
    name: Name
    value: ParameterValue
    when: Condition | None = None

    def problem_with(self, value: ParameterValue) -> str | None:
        """Why `value` is not allowed, with the remedy; None if it is allowed."""
        return (
            None if same_value(value, self.value) else f"is fixed at {self.value!r}, got {value!r}"
        )

    def canonical(self, value: ParameterValue) -> ParameterValue:  # noqa: ARG002  (one shape for all)
        """The fixed value."""
        return self.value


Parameter = Annotated[
    FloatParameter | IntParameter | ChoiceParameter | BoolParameter | FixedParameter,
    Field(discriminator="type"),
]
