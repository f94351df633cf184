"""The sentences that tell why a trial was picked, or why none could be."""

from collections.abc import Sequence

from service.domain.experiment import Experiment
from service.domain.front import PickOption
from service.domain.number_format import format_measurement, format_number, with_unit
from service.domain.objective import Objective, OutcomeConstraint

_SURE = 0.995


def explain_pick(
    experiment: Experiment,
    bounds: Sequence[OutcomeConstraint],
    ranking: Sequence[Objective],
    *,
    best: PickOption | None,
    options: Sequence[PickOption],
    missed: Sequence[PickOption],
) -> str:
    """Which trial is picked and how it stands to each budget, or what stands in the way.

    options: every feasible trial; missed: those over budget, the nearest first.
    """
    units = {metric.name: metric.unit for metric in experiment.metrics}
    if not options:
        return "No trial has completed within the constraints yet."
    if best is not None:
        return _why_picked(bounds, ranking[0], best, units)
    for bound in bounds:
        sentence = _why_out_of_reach(bound, ranking[0], options, units)
        if sentence is not None:
            return sentence
    return (
        "Each budget is met by some feasible trial, but no trial meets all of them: "
        f"nearest is trial {missed[0].point.trial_number}, "
        f"with {_standing(missed[0], bounds, units)}."
    )


def _why_picked(
    bounds: Sequence[OutcomeConstraint],
    objective: Objective,
    best: PickOption,
    units: dict[str, str],
) -> str:
    superlative = "highest" if objective.goal == "maximize" else "lowest"
    value = _value(best, objective.metric, units)
    sentence = (
        f"Trial {best.point.trial_number} has the {superlative} {objective.metric}, {value}"
        + (f", with {_standing(best, bounds, units)}." if bounds else ".")
    )
    unsure = [b.metric for b in bounds if best.point.measurements[b.metric].sem is None]
    if unsure:
        verb = "is" if len(unsure) == 1 else "are"
        sentence += f" The noise of {' and '.join(unsure)} {verb} unknown and taken as none."
    return sentence


def _why_out_of_reach(
    bound: OutcomeConstraint,
    objective: Objective,
    options: Sequence[PickOption],
    units: dict[str, str],
) -> str | None:
    """Why no trial meets this one budget; None if some trial does."""
    metric = bound.metric
    measured = [option for option in options if metric in option.point.measurements]
    if not measured:
        return f"No feasible trial has a measurement of {metric}."
    upper = bound.op == "<="
    nearest = min(
        measured,
        key=lambda option: (1 if upper else -1) * option.point.measurements[metric].mean,
    )
    if bound.holds(nearest.point.measurements[metric].mean):
        return None
    limit = with_unit(format_number(bound.bound), units.get(metric, ""))
    also = (
        f", with {objective.metric} {_value(nearest, objective.metric, units)}"
        if objective.metric != metric
        else ""
    )
    return (
        f"No feasible trial has {metric} of {'at most' if upper else 'at least'} {limit}; "
        f"the {'smallest' if upper else 'largest'} is {_value(nearest, metric, units)} "
        f"(trial {nearest.point.trial_number}{also})."
    )


def _standing(
    option: PickOption, bounds: Sequence[OutcomeConstraint], units: dict[str, str]
) -> str:
    return " and ".join(
        f"{bound.metric} {_value(option, bound.metric, units)} "
        f"(budget {format_number(bound.bound)}{_surety(option, bound)})"
        for bound in bounds
    )


def _value(option: PickOption, metric: str, units: dict[str, str]) -> str:
    measurement = option.point.measurements.get(metric)
    if measurement is None:
        return "not measured"
    return with_unit(format_measurement(measurement), units.get(metric, ""))


def _surety(option: PickOption, bound: OutcomeConstraint) -> str:
    measurement = option.point.measurements.get(bound.metric)
    if measurement is None or not measurement.sem:
        return ""
    probability = option.probability_within[bound.metric]
    if probability > _SURE:
        return "; p > 0.99"
    return "; p < 0.01" if probability < 1 - _SURE else f"; p = {probability:.2f}"
