"""Looks up the earlier experiments that a new one starts from; refuses what cannot help."""

from collections.abc import Mapping

from sqlalchemy import Connection

from search_spaces.metric import MetricDefinition
from search_spaces.parameters import ParameterValue
from service.domain.errors import ExperimentNotFound, InvalidRequest, UnknownMetric
from service.domain.experiment import (
    MODEL_FREE_STRATEGIES,
    Experiment,
    ExperimentSpec,
    unknown_name_remedy,
)
from service.domain.warm_start import WarmStart, fillable, match_metrics, units_agree
from service.storage.experiments import experiment_names, find_experiment
from service.use_cases.resolve_experiment import ResolvedExperiment


def resolve_warm_start(connection: Connection, resolved: ResolvedExperiment) -> ExperimentSpec:
    """The spec with each warm start written out: which metrics stand for which, what is filled in.

    Resolving it again changes nothing. What a source itself started from is not followed.
    Raises: ExperimentNotFound; UnknownMetric; InvalidRequest if an experiment is named twice,
        shares no parameter or no objective, has a shared metric in another unit or direction,
        or lacks a parameter whose value is not given.
    """
    spec = resolved.spec
    if spec.warm_start and spec.optimizer.strategy in MODEL_FREE_STRATEGIES:
        raise InvalidRequest(
            f"The strategy {spec.optimizer.strategy!r} has no model that could learn from "
            "earlier experiments.",
            field="warm_start",
            remedy="Leave warm_start out, or use a strategy with a model such as auto.",
        )
    entries: dict[str, WarmStart] = {}
    for index, entry in enumerate(spec.warm_start):
        field = f"warm_start.{index}"
        source = _find(connection, entry, spec, field)
        if source.id in entries:
            raise InvalidRequest(
                f"{source.spec.name!r} is named twice.", field=field, remedy="Name it once."
            )
        entries[source.id] = _resolve(entry, source, resolved, field)
    return spec.model_copy(update={"warm_start": tuple(entries.values())})


def _find(connection: Connection, entry: WarmStart, spec: ExperimentSpec, field: str) -> Experiment:
    if entry.experiment == spec.name:
        raise InvalidRequest(
            f"{spec.name!r} cannot start from itself.",
            field=f"{field}.experiment",
            remedy="Name an earlier experiment.",
        )
    try:
        return find_experiment(connection, entry.experiment)
    except ExperimentNotFound:
        names = experiment_names(connection)
        remedy = unknown_name_remedy(entry.experiment, names) if names else "There is none yet."
        raise ExperimentNotFound(
            f"No experiment has the id or name {entry.experiment!r}.",
            field=f"{field}.experiment",
            remedy=remedy,
        ) from None


def _resolve(
    entry: WarmStart, source: Experiment, resolved: ResolvedExperiment, field: str
) -> WarmStart:
    return entry.model_copy(
        update={
            "metrics": _metrics(entry, source, resolved, field),
            "parameters": _parameters(entry, source, resolved, field),
        }
    )


def _metrics(
    entry: WarmStart, source: Experiment, resolved: ResolvedExperiment, field: str
) -> dict[str, str]:
    theirs = {metric.name: metric for metric in source.metrics}
    ours = {metric.name: metric for metric in resolved.metrics}
    _check_given_metrics(entry, theirs, ours, field)
    wanted = {name: ours[name].unit for name in resolved.spec.needed_metrics}
    matched = match_metrics(
        {name: metric.unit for name, metric in theirs.items()}, wanted, entry.metrics
    )
    for their_name, our_name in matched.items():
        _check_alike(source, theirs[their_name], ours[our_name], f"{field}.metrics.{their_name}")
    objectives = [objective.metric for objective in resolved.spec.objectives]
    if not set(objectives) & set(matched.values()):
        raise InvalidRequest(
            f"{source.spec.name!r} shares none of the objectives {', '.join(objectives)}; it has "
            f"{', '.join(theirs)}.",
            field=f"{field}.metrics",
            remedy="Say which of its metrics stands for which of yours, as "
            f"metrics: {{{next(iter(theirs))}: {objectives[0]}}}, or leave it out.",
        )
    return matched


def _check_given_metrics(
    entry: WarmStart,
    theirs: Mapping[str, MetricDefinition],
    ours: Mapping[str, MetricDefinition],
    field: str,
) -> None:
    for their_name, our_name in entry.metrics.items():
        for name, known, whose in (
            (their_name, theirs, f"{entry.experiment!r}"),
            (our_name, ours, "The new experiment"),
        ):
            if name not in known:
                raise UnknownMetric(
                    f"{whose} has no metric {name!r}.",
                    field=f"{field}.metrics.{their_name}",
                    remedy=unknown_name_remedy(name, known),
                )
    meant = list(entry.metrics.values())
    twice = sorted({name for name in meant if meant.count(name) > 1})
    if twice:
        raise InvalidRequest(
            f"Two metrics of {entry.experiment!r} stand for {', '.join(twice)}.",
            field=f"{field}.metrics",
            remedy="Keep one of them.",
        )


def _check_alike(
    source: Experiment, their: MetricDefinition, our: MetricDefinition, field: str
) -> None:
    if not units_agree(their.unit, our.unit):
        raise InvalidRequest(
            f"{source.spec.name!r} has {their.name} in {their.unit!r}; here {our.name} is in "
            f"{our.unit!r}.",
            field=field,
            remedy="Leave that experiment out, or give the metric the same unit.",
        )
    if their.better != our.better:
        raise InvalidRequest(
            f"In {source.spec.name!r} {their.name} is better when {their.better}; here {our.name} "
            f"is better when {our.better}.",
            field=field,
            remedy="Leave that experiment out, or match another metric.",
        )


def _parameters(
    entry: WarmStart, source: Experiment, resolved: ResolvedExperiment, field: str
) -> dict[str, ParameterValue]:
    space, earlier = resolved.space, source.space
    if not set(space.by_name) & set(earlier.by_name):
        raise InvalidRequest(
            f"{source.spec.name!r} shares no parameter: it has {', '.join(earlier.by_name)}.",
            field=f"{field}.experiment",
            remedy="Name an experiment on the same or an overlapping space.",
        )
    fills = fillable(space, earlier, resolved.baseline.parameters | entry.parameters)
    for name, value in entry.parameters.items():
        parameter = space.by_name.get(name)
        if parameter is None:
            problem: str | None = f"is no parameter here; there are {', '.join(space.by_name)}"
        else:
            problem = parameter.problem_with(value)
        if problem is None and name not in fills:
            problem = f"has its own value in every trial of {source.spec.name!r}"
        if problem is not None:
            raise InvalidRequest(
                f"{name} {problem}.",
                field=f"{field}.parameters.{name}",
                remedy="Give the value at which the earlier trials ran, or leave it out.",
            )
    for parameter in space.parameters:
        known = parameter.name in earlier.by_name or parameter.name in fills
        if not known and parameter.type != "fixed" and parameter.when is None:
            raise InvalidRequest(
                f"{source.spec.name!r} has no parameter {parameter.name!r}, and nothing says at "
                "which value its trials ran.",
                field=f"{field}.parameters.{parameter.name}",
                remedy=f"Give it, as parameters: {{{parameter.name}: ...}}.",
            )
    return fills
