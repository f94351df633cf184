"""Refuses measurements that the experiment does not know, or that it needs and did not get."""

from collections.abc import Iterable

from search_spaces.metric import MetricDefinition
from service.domain.errors import InvalidRequest, MeasurementMissing, UnknownMetric
from service.domain.experiment import Experiment, unknown_name_remedy
from service.domain.measurement import Measurement
from service.storage.columns import require_finite


def check_measurements(
    experiment: Experiment, found: dict[str, Measurement]
) -> dict[str, Measurement]:
    """The measurements with their metric's unit filled in where none was given.

    Raises: UnknownMetric; InvalidRequest for another unit, or a protocol that is not JSON.
    """
    known = {metric.name: metric for metric in experiment.metrics}
    checked = {}
    for name, measurement in found.items():
        if name not in known:
            raise UnknownMetric(
                f"The experiment has no metric {name!r}.",
                field=f"measurements.{name}",
                remedy=unknown_name_remedy(name, known),
            )
        unit = known[name].unit
        if measurement.unit and unit and measurement.unit != unit:
            raise InvalidRequest(
                f"{name} was given in {measurement.unit!r}; the experiment has it in {unit!r}.",
                field=f"measurements.{name}.unit",
                remedy=f"Convert it to {unit!r}, or leave the unit out.",
            )
        require_finite(measurement.protocol, f"measurements.{name}.protocol")
        checked[name] = measurement.model_copy(update={"unit": measurement.unit or unit})
    return checked


def require_metrics(
    experiment: Experiment,
    found: dict[str, Measurement],
    *,
    among: Iterable[MetricDefinition] | None = None,
) -> None:
    """Refuses results that lack a needed metric; only those `among` some may be required.

    Raises: MeasurementMissing.
    """
    required = {metric.name for metric in (experiment.metrics if among is None else among)}
    needed = experiment.spec.needed_metrics
    missing = [name for name in needed if name not in found and name in required]
    if missing:
        raise MeasurementMissing(
            f"{', '.join(missing)} not reported; objectives and constraints need "
            f"{', '.join(needed)}.",
            field=f"measurements.{missing[0]}",
            remedy="Report it too, or report the trial as failed or infeasible.",
        )
