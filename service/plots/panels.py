"""What a front looks like before anything draws it: one panel per pair of objectives.

Both the interactive chart and the picture are drawn from these, so that they show the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from service.domain.front import Front, FrontPoint
from service.domain.number_format import format_number
from service.domain.objective import Objective, OutcomeConstraint
from service.plots.axes import Axis, fit_axis, objective_title
from service.plots.predicted_marks import PredictedGroup, predicted_groups
from service.plots.staircase import Vertex, dominated_region, staircase


@dataclass(frozen=True)
class Mark:
    """A trial in a panel; the standard errors are 0 where unknown."""

    point: FrontPoint
    x: float
    y: float
    x_sem: float = 0.0
    y_sem: float = 0.0


@dataclass(frozen=True)
class Line:
    """A level worth marking on one axis, with its label."""

    along: str  # "x" or "y": the axis on which `value` is read
    value: float
    label: str
    is_bound: bool  # of an outcome constraint, else of the reference point


@dataclass(frozen=True)
class Panel:
    """One chart: marks by kind, the front's line, and the region it dominates.

    is_whole: it shows every objective, not one pair of more.
    predicted: the model's front.
    line_label: what the line says. outside: marks that lie beyond the axes' range.
    """

    is_whole: bool
    x: Axis
    y: Axis
    front: tuple[Mark, ...]
    dominated: tuple[Mark, ...]
    infeasible: tuple[Mark, ...]
    corners: tuple[Vertex, ...]
    region: tuple[Vertex, ...]
    lines: tuple[Line, ...]
    line_label: str
    outside: int
    predicted: tuple[PredictedGroup, ...] = ()


def panels_of(front: Front) -> tuple[Panel, ...]:
    """One panel for one or two objectives, one for each pair of more; none without trials.

    With two objectives the first is upright, the second runs along the bottom.
    """
    if not front.front and not front.others:
        return ()
    if len(front.objectives) == 1:
        return (_progress_panel(front, front.objectives[0]),)
    return tuple(_pair_panel(front, y, x) for y, x in combinations(front.objectives, 2))


def _pair_panel(front: Front, upright: Objective, along: Objective) -> Panel:
    marks = _marks_by_kind(front, lambda point: _pair_mark(point, along.metric, upright.metric))
    on_front = [(mark.x, mark.y) for mark in marks[0]]
    signs = (along.sign, upright.sign)
    reference = None
    if front.reference_point is not None:
        levels = front.reference_point.values
        reference = (levels[along.metric], levels[upright.metric])
    lines = _lines(front, "x", along) + _lines(front, "y", upright)
    is_whole = len(front.objectives) == 2
    predicted = predicted_groups(front, along.metric, upright.metric)
    means = [mark for group in predicted for mark in group.marks]
    return _panel(
        _fit(front, along, marks, "x", lines, predicted=[mark.x for mark in means]),
        _fit(front, upright, marks, "y", lines, predicted=[mark.y for mark in means]),
        marks,
        corners=staircase(on_front, signs, reference),
        region=dominated_region(on_front, signs, reference) if is_whole else [],
        lines=lines,
        is_whole=is_whole,
        line_label="the front" if is_whole else "best in these two alone",
        predicted=predicted,
    )


def _progress_panel(front: Front, objective: Objective) -> Panel:
    """The single objective over the trials' numbers, with the best so far as a line."""
    marks = _marks_by_kind(front, lambda point: _progress_mark(point, objective.metric))
    feasible = sorted((*marks[0], *marks[1]), key=lambda mark: mark.x)
    corners: list[Vertex] = []
    for mark in feasible:
        if not corners or objective.sign * (mark.y - corners[-1][1]) > 0:
            corners += [(mark.x, corners[-1][1])] if corners else []
            corners.append((mark.x, mark.y))
    if corners:
        corners.append((max(mark.x for kind in marks for mark in kind), corners[-1][1]))
    lines = _lines(front, "y", objective)
    numbers = [mark.x for kind in marks for mark in kind]
    return _panel(
        fit_axis("trial", "trial number", 0, [min(numbers), max(numbers)]),
        _fit(front, objective, marks, "y", lines),
        marks,
        corners=corners,
        region=[],
        lines=lines,
        is_whole=True,
        line_label="best so far",
    )


_Marks = tuple[tuple[Mark, ...], tuple[Mark, ...], tuple[Mark, ...]]
"""On the front, dominated, infeasible."""


def _marks_by_kind(front: Front, mark: Callable[[FrontPoint], Mark]) -> _Marks:
    return (
        tuple(mark(point) for point in front.front),
        tuple(mark(point) for point in front.others if point.feasible),
        tuple(mark(point) for point in front.others if not point.feasible),
    )


def _pair_mark(point: FrontPoint, along: str, upright: str) -> Mark:
    x, y = point.measurements[along], point.measurements[upright]
    return Mark(point=point, x=x.mean, y=y.mean, x_sem=x.sem or 0.0, y_sem=y.sem or 0.0)


def _progress_mark(point: FrontPoint, metric: str) -> Mark:
    y = point.measurements[metric]
    return Mark(point=point, x=float(point.trial_number), y=y.mean, y_sem=y.sem or 0.0)


def _panel(
    x: Axis,
    y: Axis,
    marks: _Marks,
    *,
    corners: Sequence[Vertex],
    region: Sequence[Vertex],
    lines: Sequence[Line],
    is_whole: bool,
    line_label: str,
    predicted: tuple[PredictedGroup, ...] = (),
) -> Panel:
    return Panel(
        is_whole=is_whole,
        x=x,
        y=y,
        front=marks[0],
        dominated=marks[1],
        infeasible=marks[2],
        corners=tuple(corners),
        region=tuple(region),
        lines=tuple(lines),
        line_label=line_label,
        outside=sum(not (x.shows(m.x) and y.shows(m.y)) for kind in marks for m in kind),
        predicted=predicted,
    )


def _fit(
    front: Front,
    objective: Objective,
    marks: _Marks,
    along: str,
    lines: Sequence[Line],
    *,
    predicted: Sequence[float] = (),
) -> Axis:
    unit = front.units.get(objective.metric, "")
    values = [[mark.x if along == "x" else mark.y for mark in kind] for kind in marks]
    levels = [line.value for line in lines if line.along == along]
    # What was measured decides the scale: a model may well predict a latency below 0.
    if all(value > 0 for kind in values for value in kind):
        predicted = [value for value in predicted if value > 0]
    return fit_axis(
        objective.metric,
        objective_title(objective, unit),
        objective.sign,
        values[0],
        [*values[1], *values[2], *levels, *predicted],
    )


def _lines(front: Front, along: str, objective: Objective) -> list[Line]:
    lines = [
        Line(along, constraint.bound, _bound_label(constraint), is_bound=True)
        for constraint in front.outcome_constraints
        if constraint.metric == objective.metric
    ]
    if front.reference_point is not None:
        level = front.reference_point.values[objective.metric]
        inferred = objective.metric in front.reference_point.inferred
        kind = "reference (inferred)" if inferred else "threshold"
        lines.append(Line(along, level, f"{kind} {format_number(level)}", is_bound=False))
    return lines


def _bound_label(constraint: OutcomeConstraint) -> str:
    sign = "≤" if constraint.op == "<=" else "≥"
    return f"{constraint.metric} {sign} {format_number(constraint.bound)}"
