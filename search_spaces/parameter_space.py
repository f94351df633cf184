"""The set of legal arms: parameters, the conditions between them and linear constraints."""

import math
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from search_spaces.arm import Arm
from search_spaces.parameters import (
    ChoiceParameter,
    FixedParameter,
    FloatParameter,
    Parameter,
    ParameterValue,
    same_value,
)
from search_spaces.values import Name, Value

MAX_PARAMETERS = 200

_NAME = r"[A-Za-z][A-Za-z0-9_.]*"
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(
    rf"\s*(?P<sign>[+-])?\s*(?:(?:(?P<factor>{_NUMBER})\s*\*\s*)?(?P<name>{_NAME})|(?P<constant>{_NUMBER}))\s*"
)


def _linear_terms(side: str) -> tuple[dict[str, float], float]:
    """The coefficients and the constant of a sum such as `32*layers + width - 3`."""
    coefficients: dict[str, float] = {}
    constant = 0.0
    position = 0
    while position < len(side):
        match = _TERM.match(side, position)
        if match is None or (position > 0 and match["sign"] is None):
            raise ValueError(
                f"cannot read {side[position:].strip()!r} in {side.strip()!r}; "
                "write a sum such as '32*layers + width <= 384'"
            )
        sign = -1.0 if match["sign"] == "-" else 1.0
        if match["name"]:
            factor = sign * float(match["factor"] or 1.0)
            coefficients[match["name"]] = coefficients.get(match["name"], 0.0) + factor
        else:
            constant += sign * float(match["constant"])
        position = match.end()
    if position == 0:
        raise ValueError("one side is empty; write a sum such as '32*layers + width <= 384'")
    return coefficients, constant


class ParameterConstraint(Value):
    """sum(coefficient * parameter) <= upper_bound; also written `"32*layers + width <= 384"`.

    A parameter that is inactive in an arm counts as 0.
    """

    coefficients: Annotated[dict[Name, float], Field(min_length=1, max_length=MAX_PARAMETERS)]
    upper_bound: float

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        sides = re.split(r"<=|>=", given)
        if len(sides) != 2:
            raise ValueError(
                f"{given!r} needs exactly one <= or >=; write '32*layers + width <= 384'"
            )
        left, left_constant = _linear_terms(sides[0])
        right, right_constant = _linear_terms(sides[1])
        sign = 1.0 if "<=" in given else -1.0
        coefficients = {
            name: sign * (left.get(name, 0.0) - right.get(name, 0.0)) for name in left | right
        }
        return {
            "coefficients": coefficients,
            "upper_bound": sign * (right_constant - left_constant),
        }

    def excess(self, parameters: Mapping[str, ParameterValue]) -> float:
        """How far the sum lies above the bound; at most 0 where the constraint holds."""
        total = math.fsum(
            coefficient * float(parameters[name])
            for name, coefficient in self.coefficients.items()
            if name in parameters
        )
        return total - self.upper_bound

    def __str__(self) -> str:
        terms = " + ".join(f"{value:g}*{name}" for name, value in self.coefficients.items())
        return f"{terms} <= {self.upper_bound:g}"


class ParameterSpace(Value):
    """Which arms are legal.

    A condition may name only a parameter listed earlier, so that reading the list from the
    top decides which parameters are active. Constraints run over numeric parameters.
    evaluation_parameters: those that change the deployed network but not its training; arms that
        are equal in all the others share one training.
    """

    parameters: Annotated[tuple[Parameter, ...], Field(min_length=1, max_length=MAX_PARAMETERS)]
    constraints: Annotated[tuple[ParameterConstraint, ...], Field(max_length=100)] = ()
    evaluation_parameters: Annotated[tuple[Name, ...], Field(max_length=MAX_PARAMETERS)] = ()

    @cached_property
    def by_name(self) -> dict[str, Parameter]:
        """The parameters under their names."""
        return {parameter.name: parameter for parameter in self.parameters}

    def training_configuration(self, arm: Arm) -> Arm:
        """The part of the arm that decides its training: all but the evaluation parameters."""
        kept = {
            name: value
            for name, value in arm.parameters.items()
            if name not in self.evaluation_parameters
        }
        return Arm(parameters=kept)

    @model_validator(mode="after")
    def _evaluation_parameters_are_known(self) -> Self:
        for name in self.evaluation_parameters:
            if name not in self.by_name:
                raise ValueError(
                    f"evaluation_parameters names {name!r}, which is no parameter; "
                    "list it among the parameters too"
                )
        return self

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        seen: dict[str, Parameter] = {}
        for parameter in self.parameters:
            if parameter.name in seen:
                raise ValueError(f"parameter {parameter.name!r} is listed twice; rename one")
            if parameter.when is not None:
                parent = seen.get(parameter.when.parameter)
                if parent is None:
                    raise ValueError(
                        f"{parameter.name}.when names {parameter.when.parameter!r}, which is not "
                        "listed before it; list that parameter first"
                    )
                if isinstance(parent, FloatParameter):
                    raise ValueError(
                        f"{parameter.name}.when depends on the float {parent.name!r}; "
                        "use an int, choice, bool or fixed parameter"
                    )
                for value in parameter.when.values:
                    problem = parent.problem_with(value)
                    if problem is not None:
                        raise ValueError(
                            f"{parameter.name}.when can never hold: {parent.name} {problem}"
                        )
            seen[parameter.name] = parameter
        for constraint in self.constraints:
            for name in constraint.coefficients:
                self._check_constrainable(name, seen)
            if self._least(constraint, seen) > 1e-9:
                raise ValueError(
                    f"no arm meets the constraint {constraint}; raise its bound or widen the "
                    "parameters"
                )
        return self

    @staticmethod
    def _check_constrainable(name: str, parameters: Mapping[str, Parameter]) -> None:
        parameter = parameters.get(name)
        if parameter is None:
            raise ValueError(
                f"a constraint names {name!r}, which is no parameter; "
                f"the parameters are {', '.join(parameters)}"
            )
        values = _extremes(parameter)
        if values is None:
            raise ValueError(
                f"a constraint names {name!r}, which is not numeric; "
                "constrain int, float and numeric choice or fixed parameters only"
            )
        if getattr(parameter, "scale", "linear") == "log":
            raise ValueError(
                f"a constraint names {name!r}, which has scale: log; a linear constraint needs "
                "scale: linear"
            )

    @staticmethod
    def _least(constraint: ParameterConstraint, parameters: Mapping[str, Parameter]) -> float:
        """The least excess any arm could have, taking each parameter at its best end."""
        total = 0.0
        for name, coefficient in constraint.coefficients.items():
            ends = _extremes(parameters[name]) or ()
            products = [coefficient * end for end in ends]
            if parameters[name].when is not None:
                products.append(0.0)
            total += min(products)
        return total - constraint.upper_bound

    def active(self, parameters: Mapping[str, ParameterValue]) -> list[Parameter]:
        """The parameters whose condition holds under the given assignment, in listed order."""
        found: dict[str, Parameter] = {}
        for parameter in self.parameters:
            when = parameter.when
            holds = when is None or (
                when.parameter in found
                and when.parameter in parameters
                and any(same_value(parameters[when.parameter], v) for v in when.values)
            )
            if holds:
                found[parameter.name] = parameter
        return list(found.values())

    def problems_with(self, parameters: Mapping[str, ParameterValue]) -> dict[str, str]:
        """Why the assignment is no legal arm: parameter (or constraint) -> reason and remedy."""
        problems: dict[str, str] = {}
        active = {parameter.name: parameter for parameter in self.active(parameters)}
        for name, parameter in active.items():
            if name not in parameters:
                problems[name] = "is missing; give it a value"
            elif (problem := parameter.problem_with(parameters[name])) is not None:
                problems[name] = problem
        for name in parameters:
            if name not in self.by_name:
                problems[name] = f"is no parameter of this space; it has {', '.join(self.by_name)}"
            elif name not in active:
                when = self.by_name[name].when
                problems[name] = f"is inactive here ({when}); leave it out"
        if not problems:
            for constraint in self.constraints:
                excess = constraint.excess(parameters)
                if excess > 1e-9 * max(1.0, abs(constraint.upper_bound)):
                    problems[str(constraint)] = f"is exceeded by {excess:g}"
        return problems

    def contains(self, arm: Arm) -> bool:
        """Whether the arm is legal here."""
        return not self.problems_with(arm.parameters)

    def canonical(self, parameters: Mapping[str, ParameterValue]) -> Arm:
        """The arm in its one spelling: listed order, ints as ints, floats as floats.

        The assignment must be legal (see `problems_with`).
        """
        return Arm(
            parameters={
                parameter.name: parameter.canonical(parameters[parameter.name])
                for parameter in self.active(parameters)
            }
        )


def _extremes(parameter: Parameter) -> tuple[float, float] | None:
    """The least and the largest value of a numeric parameter; None for the others."""
    if isinstance(parameter, ChoiceParameter):
        values = parameter.values
    elif isinstance(parameter, FixedParameter):
        values = (parameter.value,)
    elif parameter.type == "bool":
        return None
    else:
        return float(parameter.low), float(parameter.high)
    if any(isinstance(value, str | bool) for value in values):
        return None
    numbers = [float(value) for value in values]
    return min(numbers), max(numbers)
