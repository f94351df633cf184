"""The front that an experiment's trials have reached, and how its hypervolume grew."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from service.domain.experiment import Experiment
from service.domain.feasibility import has_every_objective, is_feasible, is_observed, teaches
from service.domain.front import Front, FrontPoint, HypervolumePoint, HypervolumeTrace
from service.domain.hypervolume import GrowingHypervolume, hypervolume
from service.domain.insight import Insight, predicted_front, probabilities_on_front
from service.domain.objective import Objective
from service.domain.pareto import Points, is_non_dominated, oriented
from service.domain.reference_point import choose_reference_point, in_own_units
from service.domain.replicates import pool_replicates
from service.domain.trial import Trial, TrialStatus


def observe_front(
    experiment: Experiment,
    trials: Sequence[Trial],
    max_others: int,
    insight: Insight | None = None,
) -> Front:
    """The feasible non-dominated trials, and at most `max_others` of the others.

    Replicates are pooled with the trial that they repeat into one point.
    insight: what the model makes of the trials, to stand beside what was observed.

    Others are the dominated, those outside the constraints, and the infeasible that were
    measured all the same; of too many, some evenly spaced by trial number are kept.
    """
    objectives = experiment.spec.objectives
    pooled = pool_replicates(trials)
    feasible, points = _feasible_points(experiment, [one.trial for one in pooled])
    reference = choose_reference_point(objectives, points)
    best = is_non_dominated(points)
    on_front = {trial.number for trial, stands in zip(feasible, best, strict=True) if stands}
    feasible_numbers = {trial.number for trial in feasible}
    probabilities = probabilities_on_front(insight)
    shown = [
        FrontPoint(
            trial_number=trial.number,
            arm=trial.arm,
            measurements=trial.measurements,
            on_front=trial.number in on_front,
            feasible=trial.number in feasible_numbers,
            cost=one.cost,
            replicates=one.replicates,
            probability_on_front=probabilities.get(trial.arm.signature),
        )
        for one in pooled
        if is_observed(trial := one.trial, objectives)
        or (trial.status is TrialStatus.INFEASIBLE and has_every_objective(trial, objectives))
    ]
    front = [point for point in shown if point.on_front]
    others = [point for point in shown if not point.on_front]
    return Front(
        experiment_id=experiment.id,
        experiment_name=experiment.spec.name,
        data_version=experiment.data_version,
        objectives=objectives,
        outcome_constraints=experiment.spec.outcome_constraints,
        units={metric.name: metric.unit for metric in experiment.metrics},
        reference_point=None if reference is None else in_own_units(objectives, reference),
        hypervolume=None if reference is None else hypervolume(points[best], reference),
        front=tuple(sorted(front, key=lambda point: _best_first(point, objectives))),
        others=tuple(map(_without_protocols, _evenly_spaced(others, max_others))),
        others_total=len(others),
        stopped_by=experiment.stopped_by,
        predicted=None
        if insight is None
        else predicted_front(insight, sum(map(teaches, trials)), objectives),
    )


def trace_hypervolume(experiment: Experiment, trials: Sequence[Trial]) -> HypervolumeTrace:
    """The hypervolume after each observed trial, in the order in which they ended.

    One reference point, that of all the trials, serves the whole trace, so that it never
    falls. Trials outside the constraints count as completed and add nothing, and so do
    replicates: an arm counts from its first trial on, by what all its trials measured. While
    no reference point can be told, every hypervolume is 0.
    """
    objectives = experiment.spec.objectives
    pooled = [one.trial for one in pool_replicates(trials)]
    feasible, points = _feasible_points(experiment, pooled)
    reference = choose_reference_point(objectives, points)
    grown = GrowingHypervolume(np.zeros(len(objectives)) if reference is None else reference)
    point_of = {trial.number: point for trial, point in zip(feasible, points, strict=True)}
    observed = [trial for trial in trials if is_observed(trial, objectives)]
    observed.sort(key=lambda trial: (_end_of(trial), trial.number))
    trace = []
    for completed, trial in enumerate(observed, start=1):
        if trial.number in point_of:
            grown.add(point_of[trial.number])
        elapsed = _end_of(trial) - experiment.created_at
        trace.append(
            HypervolumePoint(
                completed=completed,
                trial_number=trial.number,
                hypervolume=grown.total,
                elapsed_s=max(elapsed.total_seconds(), 0.0),
            )
        )
    return HypervolumeTrace(
        experiment_id=experiment.id,
        reference_point=None if reference is None else in_own_units(objectives, reference),
        points=tuple(trace),
    )


def _feasible_points(experiment: Experiment, trials: Sequence[Trial]) -> tuple[list[Trial], Points]:
    feasible = [trial for trial in trials if is_feasible(trial, experiment.spec)]
    measured = [trial.measurements for trial in feasible]
    return feasible, oriented(experiment.spec.objectives, measured)


def _best_first(point: FrontPoint, objectives: Sequence[Objective]) -> tuple[float, ...]:
    means = [-o.sign * point.measurements[o.metric].mean for o in objectives]
    return (*means, point.trial_number)


def _end_of(trial: Trial) -> datetime:
    return trial.ended_at or trial.created_at


def _evenly_spaced(points: Sequence[FrontPoint], most: int) -> list[FrontPoint]:
    if len(points) <= most:
        return list(points)
    return [points[number * len(points) // most] for number in range(most)]


def _without_protocols(point: FrontPoint) -> FrontPoint:
    bare = {
        name: measurement.model_copy(update={"protocol": {}})
        for name, measurement in point.measurements.items()
    }
    return point.model_copy(update={"measurements": bare})
