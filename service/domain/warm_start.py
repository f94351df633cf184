"""Warm start: what the trials of an earlier experiment say about the arms of a new one.

An earlier trial counts as the arm of the new space that it would have been. Where that cannot
be told it is left out: moved to the edge of a range, say, it would carry a result that no such
arm ever had.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import Parameter, ParameterValue, same_value
from search_spaces.values import MetricName, Name, Value
from service.domain.measurement import Measurement

MAX_SOURCES = 5


class WarmStart(Value):
    """An earlier experiment to learn from; also written as its bare name or id.

    metrics: which of its metrics stand for which of ours, `{theirs: ours}`. Those of one name
        are matched without being listed, and so are `latency_ms@a` and `latency_ms@b`.
    parameters: the values at which its trials ran, for parameters that only the new space has.
        Left out, they are the search space's baseline.
    """

    experiment: Name
    metrics: Annotated[dict[MetricName, MetricName], Field(max_length=200)] = {}
    parameters: Annotated[dict[Name, ParameterValue], Field(max_length=200)] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        return {"experiment": given} if isinstance(given, str) else given


def match_metrics(
    theirs: Mapping[str, str], ours: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """Which of their metrics stands for which of ours, `{theirs: ours}`.

    theirs, ours: the metrics' units by name. given: pairs that a person has named.
    The rest go by equal names, then by equal names before an `@` (one metric on two devices)
    if the units agree and only one of theirs can be meant.
    """
    matched = dict(given)
    for name in ours:
        if name in matched.values():
            continue
        if name in theirs and name not in matched:
            matched[name] = name
            continue
        alike = [
            other
            for other in theirs
            if other not in matched
            and other not in ours
            and _without_device(other) == _without_device(name)
            and units_agree(theirs[other], ours[name])
        ]
        if len(alike) == 1:
            matched[alike[0]] = name
    return matched


def units_agree(one: str, other: str) -> bool:
    """Whether two units are the same, as far as both are known."""
    return not one or not other or one == other


def fillable(
    space: ParameterSpace, earlier: ParameterSpace, values: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """The legal ones among `values`, of parameters that an earlier arm may lack."""
    return {
        parameter.name: parameter.canonical(values[parameter.name])
        for parameter in space.parameters
        if parameter.type != "fixed"
        and parameter.name in values
        and parameter.problem_with(values[parameter.name]) is None
        and (
            parameter.name not in earlier.by_name
            or earlier.by_name[parameter.name].when is not None
        )
    }


def translate_arm(
    arm: Arm, space: ParameterSpace, fills: Mapping[str, ParameterValue]
) -> Arm | None:
    """The arm of `space` that an earlier arm would have been; None where there is none.

    Shared parameters keep their values. One that the arm lacks takes its value from `fills`,
    or its only value if it is fixed. Parameters that `space` does not have are dropped. None:
    a value lies outside the new range, a fixed parameter stood elsewhere, a value is not known,
    or a constraint is broken.
    """
    values: dict[str, ParameterValue] = {}
    for parameter in space.parameters:
        if not _is_active(parameter, values):
            continue
        if parameter.name in arm.parameters:
            value = arm.parameters[parameter.name]
        elif parameter.type == "fixed":
            value = parameter.value
        elif parameter.name in fills:
            value = fills[parameter.name]
        else:
            return None
        if parameter.problem_with(value) is not None:
            return None
        values[parameter.name] = parameter.canonical(value)
    translated = Arm(parameters=values)
    return translated if space.contains(translated) else None


def translate_measurements(
    measured: Mapping[str, Measurement], metrics: Mapping[str, str]
) -> dict[str, Measurement]:
    """The measurements that stand for ours, by our names. metrics: `{theirs: ours}`."""
    return {metrics[name]: found for name, found in measured.items() if name in metrics}


def _is_active(parameter: Parameter, values: Mapping[str, ParameterValue]) -> bool:
    """Whether its condition holds, given the values of the active ones listed before it."""
    when = parameter.when
    return when is None or (
        when.parameter in values and any(same_value(values[when.parameter], v) for v in when.values)
    )


def _without_device(metric: str) -> str:
    return metric.partition("@")[0]
