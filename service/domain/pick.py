"""Picks the trial to deploy: the best within given budgets, and how surely it is within them."""

import math
from collections.abc import Mapping, Sequence

from service.domain.errors import InvalidRequest, UnknownMetric
from service.domain.experiment import Experiment, unknown_name_remedy
from service.domain.feasibility import is_feasible
from service.domain.front import FrontPoint, Pick, PickOption
from service.domain.insight import Insight, probabilities_on_front
from service.domain.measurement import Measurement
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.pareto import is_non_dominated, oriented
from service.domain.pick_explanation import explain_pick
from service.domain.replicates import pool_replicates
from service.domain.trial import Trial


def pick_trial(
    experiment: Experiment,
    trials: Sequence[Trial],
    budgets: Mapping[str, float],
    max_options: int = 10,
    insight: Insight | None = None,
) -> Pick:
    """The feasible trial best in the first objective without a budget, within all `budgets`.

    budgets: by metric, in its unit; at most where lower is better, else at least. If every
        objective has a budget, the first objective decides. Means are compared; ties go to
        the other objectives in turn, then to the earlier trial.
    max_options: at most so many alternatives, and so many near misses.
    insight: what the model makes of the trials; it has no say in the choice.
    Raises: UnknownMetric, InvalidRequest for a budget that is not a finite number.
    """
    bounds = [_bound(experiment, metric, value) for metric, value in budgets.items()]
    ranking = _ranking(experiment.spec.objectives, budgets)
    probabilities = probabilities_on_front(insight)
    options = _ranked_options(experiment, trials, bounds, ranking, probabilities)
    fits = [all(_is_within(option, bound) for bound in bounds) for option in options]
    within = [option for option, fit in zip(options, fits, strict=True) if fit]
    best = within[0] if within else None
    missed = options[: fits.index(True)] if within else options
    missed = sorted(missed, key=lambda option: _excess(option, bounds))[:max_options]
    return Pick(
        experiment_id=experiment.id,
        budgets=dict(budgets),
        best=best,
        alternatives=tuple(within[1 : max_options + 1]),
        nearest_misses=tuple(missed),
        explanation=explain_pick(
            experiment, bounds, ranking, best=best, options=options, missed=missed
        ),
    )


def probability_within(measurement: Measurement, bound: OutcomeConstraint) -> float:
    """Probability that the true value meets `bound`, its error being normal of width sem.

    Without a standard error the mean is taken as exact.
    """
    if not measurement.sem:
        return float(bound.holds(measurement.mean))
    slack = bound.bound - measurement.mean if bound.op == "<=" else measurement.mean - bound.bound
    return 0.5 * math.erfc(-slack / measurement.sem / math.sqrt(2.0))


def _bound(experiment: Experiment, metric: str, value: float) -> OutcomeConstraint:
    field = f"budgets.{metric}"
    goals = {objective.metric: objective.goal for objective in experiment.spec.objectives}
    better = {definition.name: definition.better for definition in experiment.metrics}
    if metric not in goals and metric not in better:
        raise UnknownMetric(
            f"No stage of experiment {experiment.spec.name!r} gives a metric {metric!r}.",
            field=field,
            remedy=unknown_name_remedy(metric, dict.fromkeys([*goals, *better])),
        )
    if not math.isfinite(value):
        raise InvalidRequest(
            f"The budget {value!r} for {metric!r} is not a finite number.",
            field=field,
            remedy="Give a number in the metric's unit, or leave the budget out.",
        )
    upper = goals[metric] == "minimize" if metric in goals else better[metric] == "lower"
    return OutcomeConstraint(metric=metric, op="<=" if upper else ">=", bound=value)


def _ranking(objectives: Sequence[Objective], budgets: Mapping[str, float]) -> list[Objective]:
    return sorted(objectives, key=lambda objective: objective.metric in budgets)


def _ranked_options(
    experiment: Experiment,
    trials: Sequence[Trial],
    bounds: Sequence[OutcomeConstraint],
    ranking: Sequence[Objective],
    probabilities: Mapping[str, float],
) -> list[PickOption]:
    """Every feasible trial, pooled with its replicates, with its probabilities; best first."""
    pooled = pool_replicates(trials)
    feasible = [one for one in pooled if is_feasible(one.trial, experiment.spec)]
    points = oriented(ranking, [one.trial.measurements for one in feasible])
    options = [
        PickOption(
            point=FrontPoint(
                trial_number=one.trial.number,
                arm=one.trial.arm,
                measurements=one.trial.measurements,
                on_front=bool(on_front),
                feasible=True,
                cost=one.cost,
                replicates=one.replicates,
                probability_on_front=probabilities.get(one.trial.arm.signature),
            ),
            probability_within={
                bound.metric: probability_within(one.trial.measurements[bound.metric], bound)
                for bound in bounds
                if bound.metric in one.trial.measurements
            },
        )
        for one, on_front in zip(feasible, is_non_dominated(points), strict=True)
    ]
    order = sorted(
        range(len(options)),
        key=lambda i: (*(-points[i]).tolist(), options[i].point.trial_number),
    )
    return [options[i] for i in order]


def _is_within(option: PickOption, bound: OutcomeConstraint) -> bool:
    measurement = option.point.measurements.get(bound.metric)
    return measurement is not None and bound.holds(measurement.mean)


def _excess(option: PickOption, bounds: Sequence[OutcomeConstraint]) -> float:
    """How far over its worst budget the option is, as a share of that budget."""
    return max((_share_over(option, bound) for bound in bounds), default=0.0)


def _share_over(option: PickOption, bound: OutcomeConstraint) -> float:
    if _is_within(option, bound):
        return 0.0
    measurement = option.point.measurements.get(bound.metric)
    if measurement is None:
        return math.inf
    return abs(measurement.mean - bound.bound) / (abs(bound.bound) or 1.0)
