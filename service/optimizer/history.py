"""What the model learns from: each measured arm once, with its metrics and their noise."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from search_spaces.arm import Arm
from service.domain.measurement import Measurement
from service.domain.pareto import Points, is_non_dominated, oriented
from service.domain.reference_point import choose_reference_point
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Observation, Source, SuggestRequest

MAX_MODELLED_ARMS = 300
"""Ax's fit costs the cube of the history; beyond this the oldest dominated arms are left out."""
MAX_SOURCE_ARMS = 200
MIN_MEASURED_ARMS = 2
"""A metric needs so many before a surrogate can be fitted to it."""


@dataclass(frozen=True)
class Repeats:
    """How many measurements a mean is of, and their squared distances from it, summed."""

    count: int
    squares: float


ONCE = Repeats(1, 0.0)


@dataclass(frozen=True)
class MeasuredArm:
    """An arm with the mean and the standard error (None: unknown) of its metrics.

    forecast: the metrics that were not measured but are expected of it; no front knows them.
    repeats: of the metrics that were measured several times.
    """

    arm: Arm
    means: dict[str, float]
    sems: dict[str, float | None]
    forecast: frozenset[str] = frozenset()
    repeats: dict[str, Repeats] = field(default_factory=dict)

    def has_measured(self, metric: str) -> bool:
        """Whether the metric is known of the arm, and no forecast."""
        return metric in self.means and metric not in self.forecast

    @property
    def measurements(self) -> dict[str, Measurement]:
        """What was measured, as values of the domain."""
        return {
            metric: Measurement(mean=mean, sem=self.sems.get(metric))
            for metric, mean in self.means.items()
            if metric not in self.forecast
        }


def metrics_of_interest(request: SuggestRequest) -> tuple[str, ...]:
    """The objectives' metrics, then the constrained ones, each once."""
    names = [objective.metric for objective in request.objectives]
    names += [constraint.metric for constraint in request.outcome_constraints]
    return tuple(dict.fromkeys(names))


def measured_arms(request: SuggestRequest, most: int = MAX_MODELLED_ARMS) -> list[MeasuredArm]:
    """Every legal arm with a measurement of interest, the newest last; at most so many.

    An arm whose trial was infeasible, stopped early or still runs gives what it measured. An arm
    tried twice gives the mean of its trials.
    """
    observations = [
        one.model_copy(update={"ends": {}}) if one.ends else one
        for one in (*request.observations, *request.partial)
    ]
    arms = _merged(request, observations)
    return _with_known_noise(_at_most(arms, most, request), metrics_of_interest(request))


def instructive_arms(
    request: SuggestRequest, most: int = MAX_MODELLED_ARMS, *, with_forecasts: bool = False
) -> list[MeasuredArm]:
    """The same for a surrogate: without what a training that was stopped early had reached.

    Such values are worse than what the arm gives once it is trained to its end.
    with_forecasts: where that would have been takes their place, as far as it can be told. Then
    some standard errors may be known of a metric and others not.
    """
    arms = _merged(
        request, (*request.observations, *request.partial), with_forecasts=with_forecasts
    )
    return _with_known_noise(_at_most(arms, most, request), metrics_of_interest(request))


def source_arms(request: SuggestRequest, source: Source) -> list[MeasuredArm]:
    """The same of an earlier experiment."""
    arms = _merged(request, source.observations)
    return _with_known_noise(_at_most(arms, MAX_SOURCE_ARMS, request), metrics_of_interest(request))


def can_be_modelled(request: SuggestRequest) -> bool:
    """Whether every metric of interest has enough measurements, one arm all objectives."""
    arms = instructive_arms(request)
    return any(_has_objectives(arm, request) for arm in arms) and all(
        sum(arm.has_measured(metric) for arm in arms) >= MIN_MEASURED_ARMS
        for metric in metrics_of_interest(request)
    )


def _merged(
    request: SuggestRequest, observations: Iterable[Observation], *, with_forecasts: bool = False
) -> list[MeasuredArm]:
    metrics = metrics_of_interest(request)
    by_signature: dict[str, list[Observation]] = {}
    for observation in observations:
        known = observation.measurements.keys() | observation.ends.keys()
        if not known.isdisjoint(metrics) and request.space.contains(observation.arm):
            by_signature.setdefault(observation.arm.signature, []).append(observation)
    merged = [
        _merge(repeats, metrics, with_forecasts=with_forecasts) for repeats in by_signature.values()
    ]
    return [arm for arm in merged if arm.means]


def _merge(
    repeats: Sequence[Observation], metrics: Iterable[str], *, with_forecasts: bool
) -> MeasuredArm:
    means: dict[str, float] = {}
    sems: dict[str, float | None] = {}
    forecast: set[str] = set()
    repeated: dict[str, Repeats] = {}
    for metric in metrics:
        found = [
            o.measurements[metric]
            for o in repeats
            if metric in o.measurements and metric not in o.ends
        ]
        if not found and with_forecasts:
            found = [end for o in repeats if (end := o.ends.get(metric)) is not None][-1:]
            forecast.update([metric] if found else [])
        if found:
            means[metric] = math.fsum(m.mean for m in found) / len(found)
            sems[metric] = _sem_of_mean(found)
            if len(found) > 1:
                squares = math.fsum((m.mean - means[metric]) ** 2 for m in found)
                repeated[metric] = Repeats(len(found), squares)
    return MeasuredArm(repeats[0].arm, means, sems, frozenset(forecast), repeated)


def _sem_of_mean(repeats: Sequence[Measurement]) -> float | None:
    known = [m.sem for m in repeats if m.sem is not None]
    return math.hypot(*known) / len(known) if len(known) == len(repeats) else None


def _with_known_noise(arms: Sequence[MeasuredArm], metrics: Iterable[str]) -> list[MeasuredArm]:
    """The arms with, per metric, all standard errors known or all unknown.

    The model takes a metric's noise either as given or as one unknown level. Where some
    measurements have a standard error, the others get the median of these: the best guess
    for a measurement taken in the same way, and better than to throw the known ones away.
    A forecast keeps its own error, and says nothing about a measurement's.
    """
    typical: dict[str, float | None] = {}
    for metric in metrics:
        known = [
            sem * math.sqrt(arm.repeats.get(metric, ONCE).count)
            for arm in arms
            if arm.has_measured(metric) and (sem := arm.sems[metric]) is not None
        ]
        typical[metric] = statistics.median(known) if known else None
    return [
        replace(
            arm,
            sems={
                metric: _of_mean(typical[metric], arm.repeats.get(metric, ONCE))
                if sem is None
                else sem
                for metric, sem in arm.sems.items()
            },
        )
        for arm in arms
    ]


def _of_mean(sem: float | None, repeats: Repeats) -> float | None:
    return None if sem is None else sem / math.sqrt(repeats.count)


def _at_most(arms: list[MeasuredArm], most: int, request: SuggestRequest) -> list[MeasuredArm]:
    """All arms, or if these are too many the front and, besides it, the newest."""
    if len(arms) <= most:
        return arms
    complete = [n for n, arm in enumerate(arms) if _has_objectives(arm, request)]
    best = is_non_dominated(_points([arms[n] for n in complete], request))
    front = [n for n, stands in zip(complete, best, strict=True) if stands]
    newest = [n for n in reversed(range(len(arms))) if n not in set(front)]
    return [arms[n] for n in sorted((front[-most:] + newest)[:most])]


def reference_point(
    request: SuggestRequest, arms: Sequence[MeasuredArm]
) -> dict[str, float] | None:
    """The objectives' thresholds in their own units: the given ones, the rest inferred.

    Inferred from the arms within the outcome constraints or, if there is none yet, from all.
    None if no arm has all objectives measured.
    """
    complete = [arm for arm in arms if _has_objectives(arm, request)]
    infeasible = {
        o.arm.signature for o in request.observations if o.status is TrialStatus.INFEASIBLE
    }
    feasible = [
        arm
        for arm in complete
        if arm.arm.signature not in infeasible and within_constraints(request, arm)
    ]
    points = _points(feasible or complete, request)
    reference = choose_reference_point(request.objectives, points)
    if reference is None or not complete:
        return None
    return {
        objective.metric: objective.sign * float(value)
        for objective, value in zip(request.objectives, reference, strict=True)
    }


def within_constraints(request: SuggestRequest, arm: MeasuredArm) -> bool:
    """Whether the arm has measured every constrained metric, and meets every bound."""
    return all(
        arm.has_measured(constraint.metric) and constraint.holds(arm.means[constraint.metric])
        for constraint in request.outcome_constraints
    )


def incumbents(request: SuggestRequest, arms: Sequence[MeasuredArm]) -> list[Arm]:
    """The arms that no other arm dominates, whatever the constraints, along the front."""
    complete = [arm for arm in arms if _has_objectives(arm, request)]
    points = _points(complete, request)
    front = np.flatnonzero(is_non_dominated(points))
    return [complete[n].arm for n in front[np.argsort(points[front, 0], kind="stable")]]


def _has_objectives(arm: MeasuredArm, request: SuggestRequest) -> bool:
    return all(arm.has_measured(objective.metric) for objective in request.objectives)


def _points(arms: Sequence[MeasuredArm], request: SuggestRequest) -> Points:
    return oriented(request.objectives, [arm.measurements for arm in arms])
