"""Turns a stage's estimates into measurements: with unit and protocol, and only those declared."""

from collections.abc import Iterable, Mapping
from typing import Any

from search_spaces.metric import MetricDefinition
from search_spaces.recipe import Estimate
from service.domain.measurement import Measurement
from workers.errors import MetricsDisagree


def to_measurements(
    estimates: Mapping[str, Estimate],
    declared: Iterable[MetricDefinition],
    protocol: Mapping[str, Any],
) -> dict[str, Measurement]:
    """One measurement for each estimate.

    Raises: MetricsDisagree if the estimates are not exactly the declared metrics.
    """
    units = {metric.name: metric.unit for metric in declared}
    if units.keys() != estimates.keys():
        missing = ", ".join(sorted(units.keys() - estimates.keys())) or "nothing"
        undeclared = ", ".join(sorted(estimates.keys() - units.keys())) or "nothing"
        raise MetricsDisagree(
            f"missing: {missing}; not declared: {undeclared}; "
            "give exactly the metrics that the search space's space.py declares"
        )
    return {
        name: Measurement(
            mean=estimate.mean,
            sem=estimate.sem,
            n=estimate.n,
            unit=units[name],
            protocol=dict(protocol),
        )
        for name, estimate in estimates.items()
    }
