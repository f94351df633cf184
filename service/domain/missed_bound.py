"""Tells from what is measured already that an arm cannot be wanted any more."""

from collections.abc import Iterator, Mapping
from typing import Literal

from service.domain.experiment import ExperimentSpec
from service.domain.measurement import Measurement
from service.domain.number_format import format_measurement, format_number

SURE_Z = 3.0
"""So many standard errors beyond a bound are a sure miss: 1 in 740 if the noise is normal."""


def missed_bound(
    spec: ExperimentSpec, measurements: Mapping[str, Measurement], z: float = SURE_Z
) -> str | None:
    """Which bound the measured arm surely misses, as a phrase; None if it may meet them all.

    Bounds are the outcome constraints, and the objectives' thresholds: what is worse than a
    threshold adds nothing to the hypervolume. A miss is sure where the mean lies more than `z`
    standard errors beyond the bound; a measurement without a standard error is taken as exact.
    A metric that is not measured yet misses nothing.
    """
    for metric, op, bound in _bounds(spec):
        found = measurements.get(metric)
        if found is None:
            continue
        margin = z * (found.sem or 0.0)
        if op == "<=" and found.mean - margin > bound:
            return f"{_told(metric, found)} exceeds the bound {format_number(bound)}"
        if op == ">=" and found.mean + margin < bound:
            return f"{_told(metric, found)} falls short of the bound {format_number(bound)}"
    return None


def _bounds(spec: ExperimentSpec) -> Iterator[tuple[str, Literal["<=", ">="], float]]:
    for constraint in spec.outcome_constraints:
        yield constraint.metric, constraint.op, constraint.bound
    for objective in spec.objectives:
        if objective.threshold is not None:
            yield objective.metric, "<=" if objective.sign < 0 else ">=", objective.threshold


def _told(metric: str, measurement: Measurement) -> str:
    return f"{metric} {format_measurement(measurement)}"
