"""Narrows a search space to the parameters and constraints that an experiment gives."""

from collections.abc import Sequence

from pydantic import ValidationError

from search_spaces.parameter_space import ParameterConstraint, ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    Condition,
    FixedParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    ParameterValue,
    same_value,
)
from service.domain.errors import InvalidRequest
from service.domain.experiment import unknown_name_remedy


def narrow_space(
    space: ParameterSpace,
    given: Sequence[Parameter],
    constraints: Sequence[ParameterConstraint] = (),
) -> ParameterSpace:
    """The arms of `space` that the given parameters and constraints allow as well.

    Each given parameter replaces the one of its name and must lie inside it: a fixed legal
    value, narrower bounds, or fewer choices. Scale, step, order and condition are those of
    the space where left out. A parameter whose condition can no longer hold is dropped.
    Raises: InvalidRequest naming `parameters.<name>`.
    """
    by_name = {parameter.name: parameter for parameter in given}
    repeated = [p.name for p in given if by_name[p.name] is not p]
    if repeated:
        raise _refused(repeated[0], "is listed twice.", "List it once.")
    for name in by_name:
        if name not in space.by_name:
            raise _refused(
                name,
                "is no parameter of the search space.",
                unknown_name_remedy(name, space.by_name),
            )
    parameters: dict[str, Parameter] = {}
    for base in space.parameters:
        narrowed = _narrowed(base, by_name[base.name]) if base.name in by_name else base
        kept = _still_possible(narrowed, parameters)
        if kept is not None:
            parameters[base.name] = kept
    dropped = space.by_name.keys() - parameters.keys()
    return built_space(
        list(parameters.values()),
        [*_without(space.constraints, dropped), *_without(constraints, dropped)],
        [name for name in space.evaluation_parameters if name in parameters],
    )


def built_space(
    parameters: Sequence[Parameter],
    constraints: Sequence[ParameterConstraint],
    evaluation_parameters: Sequence[str] = (),
) -> ParameterSpace:
    """The space of these parts. Raises: InvalidRequest if they do not fit together."""
    try:
        return ParameterSpace(
            parameters=tuple(parameters),
            constraints=tuple(constraints),
            evaluation_parameters=tuple(evaluation_parameters),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        about_constraints = "constraint" in message
        raise InvalidRequest(
            f"The parameters do not make a space: {message}.",
            field="parameter_constraints" if about_constraints else "parameters",
        ) from None


def _refused(name: str, problem: str, remedy: str) -> InvalidRequest:
    return InvalidRequest(
        f"Parameter {name!r} {problem}", field=f"parameters.{name}", remedy=remedy
    )


def _narrowed(base: Parameter, given: Parameter) -> Parameter:
    if given.when is not None and not _within(given.when, base.when):
        raise _refused(
            base.name,
            f"has another condition than in the search space ({base.when}).",
            "Leave `when` out.",
        )
    if isinstance(given, FixedParameter):
        values: tuple[ParameterValue, ...] = (given.value,)
    elif isinstance(given, ChoiceParameter):
        values = given.values
    elif type(given) is type(base):
        return _narrower(base, given)
    else:
        raise _refused(
            base.name,
            f"is of type {base.type} in the search space, not {given.type}.",
            f"Write type: {base.type}, choice or fixed.",
        )
    for value in values:
        problem = base.problem_with(value)
        if problem is not None:
            raise _refused(base.name, f"{problem}.", "Name values of the search space.")
    if isinstance(given, FixedParameter):
        return given.model_copy(update={"value": base.canonical(given.value), "when": base.when})
    ordered = given.ordered
    if ordered is None and isinstance(base, ChoiceParameter):
        ordered = base.is_ordered
    return ChoiceParameter(
        name=base.name,
        values=tuple(base.canonical(value) for value in given.values),
        ordered=ordered,
        when=base.when,
    )


def _within(given: Condition, base: Condition | None) -> bool:
    return (
        base is not None
        and given.parameter == base.parameter
        and all(any(same_value(value, other) for other in base.values) for value in given.values)
    )


def _narrower(base: Parameter, given: Parameter) -> Parameter:
    """A float, int or bool parameter inside the one of its own type."""
    if isinstance(base, BoolParameter):
        return base
    if not isinstance(base, FloatParameter | IntParameter) or not isinstance(
        given, FloatParameter | IntParameter
    ):
        raise TypeError(f"{type(given).__name__} has no bounds to narrow")
    for end in ("low", "high"):
        value = getattr(given, end)
        problem = base.problem_with(value)
        if problem is not None:
            raise _refused(
                base.name,
                f"has {end} {value}, outside the search space: {problem}.",
                f"Keep within [{base.low}, {base.high}].",
            )
    inherited = {
        name: getattr(base, name)
        for name in ("scale", "step", "when")
        if name not in given.model_fields_set or name == "when"
    }
    try:
        narrowed = type(given).model_validate(given.model_dump() | inherited)
    except ValidationError as error:
        message = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise _refused(base.name, f"is not possible: {message}.", "Change its bounds.") from None
    if base.step is not None and (
        narrowed.step is None or not _is_multiple(narrowed.step, base.step)
    ):
        raise _refused(
            base.name,
            f"has step {narrowed.step}, which leaves the search space's grid of {base.step}.",
            f"Write a multiple of {base.step}, or leave `step` out.",
        )
    return narrowed


def _is_multiple(step: float, unit: float) -> bool:
    return abs(step / unit - round(step / unit)) <= 1e-9 * max(1.0, step / unit)


def _still_possible(parameter: Parameter, earlier: dict[str, Parameter]) -> Parameter | None:
    """The parameter with the part of its condition that can still hold; None if none can."""
    when = parameter.when
    if when is None:
        return parameter
    parent = earlier.get(when.parameter)
    if parent is None:
        return None
    values = tuple(value for value in when.values if parent.problem_with(value) is None)
    if not values:
        return None
    always = (
        isinstance(parent, FixedParameter)
        and parent.when is None
        and any(same_value(parent.value, value) for value in values)
    )
    condition = None if always else Condition(parameter=when.parameter, values=values)
    return parameter.model_copy(update={"when": condition})


def _without(
    constraints: Sequence[ParameterConstraint], dropped: set[str]
) -> list[ParameterConstraint]:
    """The constraints over what is left; an absent parameter counts as 0."""
    kept = []
    for constraint in constraints:
        rest = {n: c for n, c in constraint.coefficients.items() if n not in dropped}
        if rest:
            kept.append(ParameterConstraint(coefficients=rest, upper_bound=constraint.upper_bound))
        elif constraint.upper_bound < 0:
            raise InvalidRequest(
                f"The constraint {constraint} can no longer be met.",
                field="parameters",
                remedy=f"Give {', '.join(constraint.coefficients)} room again.",
            )
    return kept
