"""The tables beside the charts: every figure that they draw, and the arms behind it."""

from collections.abc import Iterable, Sequence
from html import escape

from search_spaces.parameters import ParameterValue
from service.domain.front import Front, FrontPoint, HypervolumeTrace
from service.domain.insight import Forecast
from service.domain.number_format import format_measurement, format_number

_SHADES = 4
_ABSENT = "\N{EN DASH}"


def front_table(front: Front) -> str:
    """The front, a row per trial: its objectives and the metrics under a constraint."""
    metrics = list(
        dict.fromkeys(
            [o.metric for o in front.objectives] + [c.metric for c in front.outcome_constraints]
        )
    )
    heads = "".join(metric_head(front, metric) for metric in metrics)
    is_told = any(point.probability_on_front is not None for point in front.front)
    if is_told:
        heads += '<th scope="col">p(on front)<small>as the model sees it</small></th>'
    is_paid = any(point.cost.spent_s for point in front.front)
    if is_paid:
        heads += '<th scope="col">cost<small>h:min:s of all attempts</small></th>'
    rows = "".join(
        f'<tr data-trial="{point.trial_number}"><th scope="row">'
        f'<a href="#arm-{point.trial_number}">{point.trial_number}</a>'
        f"{_repeats_note(point)}</th>"
        + "".join(f"<td>{_measured(point, metric)}</td>" for metric in metrics)
        + (f"<td>{probability_text(point.probability_on_front)}</td>" if is_told else "")
        + (f"<td>{_cost(point)}</td>" if is_paid else "")
        + "</tr>"
        for point in front.front
    )
    return table(
        "The trials on the front, mean ± standard error",
        f'<thead><tr><th scope="col">trial</th>{heads}</tr></thead><tbody>{rows}</tbody>',
    )


def _cost(point: FrontPoint) -> str:
    """The time really spent on the trial, and which one paid for a training that it shares."""
    if not point.cost.spent_s:
        return _ABSENT
    spent = _duration(sum(point.cost.spent_s.values()))
    if point.cost.shared_with is None:
        return spent
    return f"{spent}<small> trained by {point.cost.shared_with}</small>"


def _repeats_note(point: FrontPoint) -> str:
    """Which trials ran the arm again, their measurements being pooled with the first's."""
    if not point.replicates:
        return ""
    return f"<small> with {', '.join(map(str, point.replicates))}</small>"


def probability_text(probability: float | None) -> str:
    """A probability to two decimals; a dash where it is not told."""
    return _ABSENT if probability is None else f"{probability:.2f}"


def hypervolume_table(trace: HypervolumeTrace) -> str:
    """The trials that raised the hypervolume, newest first."""
    rows = []
    before = 0.0
    for point in trace.points:
        if point.hypervolume > before:
            rows.append(
                f'<tr><th scope="row">{point.trial_number}</th><td>{point.completed}</td>'
                f"<td>{_duration(point.elapsed_s)}</td>"
                f"<td>{format_number(point.hypervolume, 5)}</td>"
                f"<td>+{format_number(point.hypervolume - before, 3)}</td></tr>"
            )
            before = point.hypervolume
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("trial", "completed", "after", "hypervolume", "gain")
    )
    return table(
        "The trials that raised the hypervolume, newest first",
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(reversed(rows))}</tbody>",
    )


def arms_table(front: Front) -> str:
    """A column per trial of the front, in its order; a row per objective, parameter, metric.

    Parameters that are the same in all are left out. Numbers are shaded from the row's
    smallest to its largest.
    """
    points = front.front
    varying, _ = split_parameters(points)
    shown = {o.metric for o in front.objectives}
    further = [m for m in _metrics_of(points) if m not in shown]
    heads = "".join(
        f'<th scope="col" id="arm-{p.trial_number}">trial {p.trial_number}</th>' for p in points
    )
    body = _row_group("Objectives", points) + "".join(
        _metric_row(front, objective.metric) for objective in front.objectives
    )
    if varying:
        body += _row_group("Parameters", points)
        body += "".join(_parameter_row(name, points) for name in varying)
    if further:
        body += _row_group("Further metrics", points)
        body += "".join(_metric_row(front, metric) for metric in further)
    return table(
        "The arms on the front, column by column as one objective is traded for another",
        f"<thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody>",
    )


def split_parameters(
    points: Sequence[FrontPoint] | Sequence[Forecast],
) -> tuple[list[str], dict[str, ParameterValue]]:
    """The names of the parameters that differ between `points`, and those that do not.

    Of a single point all count as differing.
    """
    names = dict.fromkeys(name for point in points for name in point.arm.parameters)
    varying: list[str] = []
    same: dict[str, ParameterValue] = {}
    for name in names:
        values = [point.arm.parameters.get(name) for point in points]
        first = values[0]
        if len(points) > 1 and first is not None and all(value == first for value in values):
            same[name] = first
        else:
            varying.append(name)
    return varying, same


def table(caption: str, content: str) -> str:
    """A table that scrolls in a place of its own, named by its caption."""
    label = escape(caption, quote=True)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table aria-label="{label}">{content}</table></div>'
    )


def metric_head(front: Front, metric: str) -> str:
    """The head of a metric's column: its unit, which way is better, its bounds."""
    goals = {o.metric: "higher" if o.sign > 0 else "lower" for o in front.objectives}
    notes = [f"[{escape(front.units[metric])}]"] if front.units.get(metric) else []
    if metric in goals:
        notes.append(f"{goals[metric]} is better")
    notes += [
        f"{'≤' if c.op == '<=' else '≥'} {format_number(c.bound)}"
        for c in front.outcome_constraints
        if c.metric == metric
    ]
    small = f"<small>{escape(', '.join(notes), quote=False)}</small>" if notes else ""
    return f'<th scope="col">{escape(metric)}{small}</th>'


def _metrics_of(points: Iterable[FrontPoint]) -> list[str]:
    return list(dict.fromkeys(name for point in points for name in point.measurements))


def _measured(point: FrontPoint, metric: str) -> str:
    measurement = point.measurements.get(metric)
    return _ABSENT if measurement is None else format_measurement(measurement)


def _row_group(name: str, points: Sequence[FrontPoint]) -> str:
    return f'<tr><th scope="rowgroup" colspan="{len(points) + 1}">{name}</th></tr>'


def _metric_row(front: Front, metric: str) -> str:
    means = [
        point.measurements[metric].mean if metric in point.measurements else None
        for point in front.front
    ]
    unit = f" [{front.units[metric]}]" if front.units.get(metric) else ""
    texts = [_measured(point, metric) for point in front.front]
    return _row(f"{metric}{unit}", texts, means)


def _parameter_row(name: str, points: Sequence[FrontPoint]) -> str:
    values = [point.arm.parameters.get(name) for point in points]
    return _row(name, [parameter_text(value) for value in values], values)


def _row(name: str, texts: Sequence[str], values: Sequence[ParameterValue | None]) -> str:
    cells = "".join(
        f'<td class="s{shade}">{escape(text)}</td>' if shade else f"<td>{escape(text)}</td>"
        for text, shade in zip(texts, _shades(values), strict=True)
    )
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _shades(values: Sequence[ParameterValue | None]) -> list[int]:
    """0 to `_SHADES` for numbers, by where they lie between the row's extremes; else 0."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    low, high = min(numbers, default=0), max(numbers, default=0)
    span = high / 2 - low / 2  # halved: the difference of two floats may overflow
    return [
        round((value / 2 - low / 2) / span * _SHADES)
        if span > 0 and isinstance(value, int | float) and not isinstance(value, bool)
        else 0
        for value in values
    ]


def parameter_text(value: ParameterValue | None) -> str:
    """A parameter's value as the tables show it; a dash where it is not active."""
    if value is None:
        return _ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_number(value) if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
