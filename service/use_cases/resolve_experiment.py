"""Resolves a spec against the installed search spaces and refuses what contradicts itself."""

import importlib.util
import math
from dataclasses import dataclass
from typing import cast

from search_spaces.arm import Arm
from search_spaces.metric import TRAINED_METRICS, MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import ChoiceParameter, FixedParameter
from search_spaces.registry import Registry, UnknownSearchSpace
from search_spaces.space import SearchSpace
from service.domain.device import MeasurementSettings, measured_metrics, optional_metrics
from service.domain.errors import InvalidRequest, SearchSpaceNotFound, UnknownMetric
from service.domain.experiment import (
    MODEL_FREE_STRATEGIES,
    ExperimentSpec,
    SearchSpaceReference,
    unknown_name_remedy,
)
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.runtimes import ZERO_SKIPPING_RUNTIMES, Precision
from service.optimizer.auto import usual_limit_s
from service.use_cases.narrow_space import built_space, narrow_space

_LEAST_INITIAL_TRIALS = 4


@dataclass(frozen=True)
class ResolvedExperiment:
    """A spec with nothing left open, its legal arms, and the metrics a trial may carry.

    Earlier experiments to start warm from are still to be looked up (`resolve_warm_start`).
    baseline: the search space's hand-made arm; empty for a space of the spec's own.
    precisions: those that the arms themselves are exported in; none where the spec decides.
    """

    spec: ExperimentSpec
    space: ParameterSpace
    metrics: tuple[MetricDefinition, ...]
    baseline: Arm
    precisions: tuple[Precision, ...] = ()


def resolve_experiment(spec: ExperimentSpec, registry: Registry) -> ResolvedExperiment:
    """What the spec asks for, in full; resolving it again changes nothing.

    Pins the search space's version, writes out narrowed parameters, decides whether arms are
    measured before they are trained, counts the initial trials and limits the model's time. An
    ask/tell experiment without metrics gets those its objectives and constraints name; optional
    metrics are an experiment's only if these name them.
    Raises: SearchSpaceNotFound, UnknownMetric, InvalidRequest.
    """
    optional: tuple[MetricDefinition, ...] = ()
    precisions: tuple[Precision, ...] = ()
    if spec.search_space is None:
        space = built_space(spec.parameters, spec.parameter_constraints)
        metrics = _external_metrics(spec)
        baseline = Arm(parameters={})
        update: dict[str, object] = {"metrics": metrics}
    else:
        installed = _find(registry, spec.search_space)
        if spec.metrics:
            raise InvalidRequest(
                f"The trials of {installed.name!r} report the metrics of that search space.",
                field="metrics",
                remedy="Leave metrics out, or leave search_space out for ask and tell.",
            )
        space = narrow_space(installed.space, spec.parameters, spec.parameter_constraints)
        deployed = installed.deployed_metrics
        metrics = tuple(metric for metric in installed.metrics if metric not in deployed)
        metrics += TRAINED_METRICS + measured_metrics(spec.targets, deployed)
        optional = optional_metrics(spec.targets)
        baseline = installed.baseline
        precisions = _precisions(spec, installed, space)
        given = {parameter.name for parameter in spec.parameters}
        update = {
            "search_space": SearchSpaceReference(name=installed.name, version=installed.version),
            "parameters": tuple(p for p in space.parameters if p.name in given),
            "measurement": _measurement(spec, installed),
        }
    _check_goals(spec, metrics + optional)
    metrics += tuple(metric for metric in optional if metric.name in spec.needed_metrics)
    _check_stop_rules(spec)
    _check_strategy(spec)
    _check_early_stopping(spec)
    update["optimizer"] = spec.optimizer.model_copy(
        update={
            "initial_trials": spec.optimizer.initial_trials or initial_trials(spec, space),
            "suggestion_limit_s": spec.optimizer.suggestion_limit_s
            or usual_limit_s(spec.optimizer.strategy, len(spec.objectives)),
        }
    )
    return ResolvedExperiment(spec.model_copy(update=update), space, metrics, baseline, precisions)


def initial_trials(spec: ExperimentSpec, space: ParameterSpace) -> int:
    """How many trials come before the model's: a handful, since the model learns from few.

    5, and one for every eight searched parameters; at most a fifth of the budget, at least 4,
    never beyond the budget.
    """
    searched = sum(not isinstance(p, FixedParameter) for p in space.parameters)
    handful = min(math.ceil(spec.budget.trials / 5), 5 + searched // 8)
    return min(max(_LEAST_INITIAL_TRIALS, handful), spec.budget.trials)


def _measurement(spec: ExperimentSpec, space: SearchSpace) -> MeasurementSettings:
    """The settings with the order of measuring and training decided."""
    settings = spec.measurement
    skipping = ZERO_SKIPPING_RUNTIMES & {
        target.settings(settings).chosen_runtime for target in spec.targets
    }
    measures_untrained = space.measures_untrained and not skipping
    if settings.untrained and not measures_untrained:
        where = f" in {min(skipping)!r}, which skips zeros" if skipping else ""
        raise InvalidRequest(
            f"Networks of {space.name!r} measure differently before they are trained{where}.",
            field="measurement.untrained",
            remedy="Leave it out: they are measured after their training.",
        )
    if settings.untrained is not None:
        return settings
    return settings.model_copy(update={"untrained": measures_untrained})


def _precisions(
    spec: ExperimentSpec, installed: SearchSpace, space: ParameterSpace
) -> tuple[Precision, ...]:
    """Those that arms of `space`, narrowed, are exported in, if they have one of their own."""
    name = installed.precision_parameter
    if name is None:
        return ()
    common = {"measurement.precision": spec.measurement.precision != "fp32"}
    own = {
        f"targets.{place}.precision": target.precision is not None
        for place, target in enumerate(spec.targets)
    }
    for field, is_given in (common | own).items():
        if is_given:
            raise InvalidRequest(
                f"Each arm of {installed.name!r} has a precision of its own, by {name!r}.",
                field=field,
                remedy=f"Leave it out; to measure in one precision, fix the parameter {name!r}.",
            )
    chosen = cast(ChoiceParameter | FixedParameter, space.by_name[name])
    values = (chosen.value,) if isinstance(chosen, FixedParameter) else chosen.values
    return cast(tuple[Precision, ...], values)


def _find(registry: Registry, reference: SearchSpaceReference) -> SearchSpace:
    try:
        return registry.find(reference.name, reference.version).space
    except UnknownSearchSpace as error:
        known = [space.name for space in registry]
        remedy = None if reference.name in known else unknown_name_remedy(reference.name, known)
        detail, _, rest = str(error).partition(";")
        raise SearchSpaceNotFound(
            f"{detail[:1].upper()}{detail[1:]}.",
            field="search_space",
            remedy=remedy or f"{rest.strip()[:1].upper()}{rest.strip()[1:]}.",
        ) from None


def _external_metrics(spec: ExperimentSpec) -> tuple[MetricDefinition, ...]:
    """The metrics as given, each with the good direction of its objective."""
    goals = {objective.metric: objective for objective in spec.objectives}
    if not spec.metrics:
        names = dict.fromkeys([*goals, *(c.metric for c in spec.outcome_constraints)])
        given: tuple[MetricDefinition, ...] = tuple(MetricDefinition(name=name) for name in names)
    else:
        given = spec.metrics
    resolved = []
    for metric in given:
        objective = goals.get(metric.name)
        if "better" not in metric.model_fields_set and objective is not None:
            better = "higher" if objective.sign > 0 else "lower"
            resolved.append(metric.model_copy(update={"better": better, "stage": "external"}))
        else:
            resolved.append(metric.model_copy(update={"stage": "external"}))
    return tuple(resolved)


def _check_goals(spec: ExperimentSpec, metrics: tuple[MetricDefinition, ...]) -> None:
    known = {metric.name: metric for metric in metrics}
    for index, objective in enumerate(spec.objectives):
        _require_known(objective.metric, known, f"objectives.{index}.metric")
        better = "higher" if objective.sign > 0 else "lower"
        if known[objective.metric].better != better:
            raise InvalidRequest(
                f"{objective.metric} is better when {known[objective.metric].better}, "
                f"which contradicts goal: {objective.goal}.",
                field=f"objectives.{index}.goal",
                remedy="Write the other goal, or bound the metric in outcome_constraints.",
            )
    for index, constraint in enumerate(spec.outcome_constraints):
        field = f"outcome_constraints.{index}"
        _require_known(constraint.metric, known, f"{field}.metric")
        for other in spec.outcome_constraints[:index]:
            if _contradict(constraint, other):
                raise InvalidRequest(
                    f"No trial can meet both {_text(other)} and {_text(constraint)}.",
                    field=f"{field}.bound",
                    remedy="Drop one of them.",
                )
        for objective in spec.objectives:
            if _excludes_threshold(constraint, objective):
                raise InvalidRequest(
                    f"No trial that meets {_text(constraint)} is better than the threshold "
                    f"{objective.threshold:g} of that objective.",
                    field=f"{field}.bound",
                    remedy="Change the bound or the objective's threshold.",
                )


def _check_stop_rules(spec: ExperimentSpec) -> None:
    strategy = spec.optimizer.strategy
    if spec.stop_rules.expected_gain is not None and strategy in MODEL_FREE_STRATEGIES:
        raise InvalidRequest(
            f"The strategy {strategy!r} has no model that could tell the expected gain.",
            field="stop_rules.expected_gain",
            remedy="Use stop_rules.no_gain, or a strategy with a model such as auto.",
        )


def _check_early_stopping(spec: ExperimentSpec) -> None:
    if spec.early_stopping is not None and spec.search_space is None:
        raise InvalidRequest(
            "Trials that are run elsewhere report no learning curves to stop them by.",
            field="early_stopping",
            remedy="Leave it out, or name a search_space.",
        )


def _check_strategy(spec: ExperimentSpec) -> None:
    """Whether the server can run the strategy. Raises: InvalidRequest."""
    if spec.optimizer.strategy == "saasbo" and importlib.util.find_spec("numpyro") is None:
        raise InvalidRequest(
            "Strategy 'saasbo' needs NumPyro, which this server lacks.",
            field="optimizer.strategy",
            remedy="Install archfront[saasbo] on the server, or choose map_saas or auto.",
        )


def _require_known(name: str, known: dict[str, MetricDefinition], field: str) -> None:
    if name not in known:
        raise UnknownMetric(
            f"No stage gives the metric {name!r}.",
            field=field,
            remedy=unknown_name_remedy(name, known),
        )


def _contradict(one: OutcomeConstraint, other: OutcomeConstraint) -> bool:
    if one.metric != other.metric or one.op == other.op:
        return False
    upper, lower = (one, other) if one.op == "<=" else (other, one)
    return upper.bound < lower.bound


def _excludes_threshold(constraint: OutcomeConstraint, objective: Objective) -> bool:
    if constraint.metric != objective.metric or objective.threshold is None:
        return False
    if objective.goal == "minimize":
        return constraint.op == ">=" and constraint.bound >= objective.threshold
    return constraint.op == "<=" and constraint.bound <= objective.threshold


def _text(constraint: OutcomeConstraint) -> str:
    return f"{constraint.metric} {constraint.op} {constraint.bound:g}"
