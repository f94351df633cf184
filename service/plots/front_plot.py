"""The front as interactive charts (plotly), one per pair of objectives."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from service.domain.front import Front
from service.domain.number_format import format_measurement, with_unit
from service.plots import palette
from service.plots.axes import Axis
from service.plots.front_summary import describe_trials, format_prediction
from service.plots.panels import Line, Mark, Panel, panels_of
from service.plots.plot_layout import axis_layout, chart_layout
from service.plots.predicted_marks import PredictedMark

ERROR_BAR_SEMS = 2.0
"""Half an error bar in standard errors: about 95 % of a normal error."""

_MAX_LABELS = 30


def front_figures(front: Front) -> tuple[go.Figure, ...]:
    """One figure for one or two objectives, one for each pair of more; none without trials.

    Drawn as SVG (no WebGL). Texts are escaped: plotly reads markup in them.
    """
    return tuple(_figure(panel, front) for panel in panels_of(front))


def _figure(panel: Panel, front: Front) -> go.Figure:
    traces = [
        *_region(panel),
        *_marks(panel.dominated, "dominated", _DOMINATED, front),
        *_marks(panel.infeasible, "outside the constraints", _INFEASIBLE, front),
        *_corners(panel),
        *_predicted_marks(panel, front),
        *_front_marks(panel, front),
    ]
    layout = chart_layout(axis_layout(panel.x), axis_layout(panel.y))
    layout["shapes"] = [_shape(line) for line in panel.lines]
    if panel.is_whole:
        layout["annotations"] = [
            _label(line, panel) for line in panel.lines if _axis(line, panel).shows(line.value)
        ]
    return go.Figure(data=traces, layout=layout)


_DOMINATED = {"symbol": "circle-open", "size": 8, "color": palette.DOMINATED, "line_width": 1.5}
_INFEASIBLE = {"symbol": "x-thin", "size": 8, "line_color": palette.INFEASIBLE, "line_width": 2}
_FRONT = {
    "symbol": "diamond",
    "size": 12,
    "color": palette.FRONT,
    "line_color": palette.OUTLINE,
    "line_width": 1,
}


def _region(panel: Panel) -> list[go.Scatter]:
    if not panel.region:
        return []
    return [
        go.Scatter(
            x=[x for x, _ in panel.region],
            y=[y for _, y in panel.region],
            mode="none",
            fill="toself",
            fillcolor=palette.REGION,
            hoverinfo="skip",
            name="hypervolume",
        )
    ]


def _corners(panel: Panel) -> list[go.Scatter]:
    if not panel.corners:
        return []
    return [
        go.Scatter(
            x=[x for x, _ in panel.corners],
            y=[y for _, y in panel.corners],
            mode="lines",
            line={"color": palette.FRONT, "width": 2},
            hoverinfo="skip",
            name=panel.line_label,
        )
    ]


def _front_marks(panel: Panel, front: Front) -> list[go.Scatter]:
    if not panel.front:
        return []
    trace = _marks(panel.front, "on the front", _FRONT, front, with_parameters=True)[0]
    _add_bars(trace, "error_x", [mark.x_sem for mark in panel.front], palette.FRONT)
    _add_bars(trace, "error_y", [mark.y_sem for mark in panel.front], palette.FRONT)
    if panel.is_whole and len(panel.front) <= _MAX_LABELS:
        trace.update(
            mode="markers+text",
            text=[str(mark.point.trial_number) for mark in panel.front],
            textposition=_clear_side(panel),
            textfont_size=11,
            cliponaxis=False,
        )
    return [trace]


def _predicted_marks(panel: Panel, front: Front) -> list[go.Scatter]:
    """The model's front: the arms that were tried, and apart from them those that never were."""
    traces = []
    for group in panel.predicted:
        marks = group.marks
        symbol = "square-open" if group.is_tried else "triangle-up-open"
        trace = go.Scatter(
            x=[mark.x for mark in marks],
            y=[mark.y for mark in marks],
            mode="markers",
            marker={"symbol": symbol, "size": 13, "color": palette.PREDICTED, "line_width": 2},
            name=group.name,
            hovertext=[_predicted_hover(mark, front) for mark in marks],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        _add_bars(trace, "error_x", [mark.x_sd for mark in marks], palette.PREDICTED)
        _add_bars(trace, "error_y", [mark.y_sd for mark in marks], palette.PREDICTED)
        traces.append(trace)
    return traces


def _predicted_hover(mark: PredictedMark, front: Front) -> str:
    numbers = mark.forecast.trial_numbers
    lines = [f"<b>Predicted: {describe_trials(numbers)}</b>"]
    for objective in front.objectives:
        value = format_prediction(mark.forecast.predictions[objective.metric])
        unit = front.units.get(objective.metric, "")
        lines.append(f"{escape(objective.metric)} {escape(with_unit(value, unit))}")
    if not numbers:
        lines += [
            f"{escape(name)} = {escape(str(value))}"
            for name, value in mark.forecast.arm.parameters.items()
        ][:_MAX_LABELS]
    return "<br>".join(lines)


def _add_bars(trace: go.Scatter, direction: str, deviations: Sequence[float], color: str) -> None:
    """Error bars of two standard errors, or deviations, to each side, where any is known."""
    if any(deviations):
        trace[direction] = {
            "type": "data",
            "array": [ERROR_BAR_SEMS * deviation for deviation in deviations],
            "color": color,
            "thickness": 1.2,
            "width": 4,
        }


def _clear_side(panel: Panel) -> str:
    """The corner of a mark towards better values, where no other trial can lie."""
    upright = "top" if panel.y.sign > 0 else "bottom"
    return f"{upright} {'left' if panel.x.sign < 0 else 'right'}"


def _marks(
    marks: Sequence[Mark],
    name: str,
    style: dict[str, Any],
    front: Front,
    *,
    with_parameters: bool = False,
) -> list[go.Scatter]:
    if not marks:
        return []
    return [
        go.Scatter(
            x=[mark.x for mark in marks],
            y=[mark.y for mark in marks],
            mode="markers",
            marker=style,
            name=f"{name} ({len(marks)})",
            customdata=[mark.point.trial_number for mark in marks],
            hovertext=[_hover(mark, front, with_parameters=with_parameters) for mark in marks],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    ]


def _hover(mark: Mark, front: Front, *, with_parameters: bool) -> str:
    lines = [f"<b>Trial {mark.point.trial_number}</b>"]
    if mark.point.replicates:
        lines.append(f"pooled with {describe_trials(mark.point.replicates)}, which ran it again")
    for objective in front.objectives:
        value = format_measurement(mark.point.measurements[objective.metric])
        unit = front.units.get(objective.metric, "")
        lines.append(f"{escape(objective.metric)} {escape(with_unit(value, unit))}")
    if with_parameters:
        lines += [
            f"{escape(name)} = {escape(str(value))}"
            for name, value in mark.point.arm.parameters.items()
        ][:_MAX_LABELS]
    return "<br>".join(lines)


def _shape(line: Line) -> dict[str, Any]:
    across = "y" if line.along == "x" else "x"
    return {
        "type": "line",
        "layer": "below",
        f"{line.along}0": line.value,
        f"{line.along}1": line.value,
        f"{across}ref": "paper",
        f"{across}0": 0,
        f"{across}1": 1,
        "line": {
            "color": palette.BOUND if line.is_bound else palette.REFERENCE,
            "dash": "dot" if line.is_bound else "dash",
            "width": 1.5,
        },
    }


def _label(line: Line, panel: Panel) -> dict[str, Any]:
    """The line's label; an upright one starts at the level of the reference point."""
    label = {"text": escape(line.label), "showarrow": False, "font": {"size": 11}}
    if line.along == "y":
        is_left = panel.x.sign >= 0
        return label | {
            "y": _on(panel.y, line.value),
            "xref": "paper",
            "x": 0 if is_left else 1,
            "xanchor": "left" if is_left else "right",
            "yanchor": "bottom",
        }
    hangs = panel.y.sign < 0
    levels = [line.value for line in panel.lines if line.along == "y" and not line.is_bound]
    start: dict[str, Any] = {"yref": "paper", "y": 1 if hangs else 0}
    if levels and panel.y.shows(levels[0]):
        start = {"y": _on(panel.y, levels[0])}
    return label | {
        "x": _on(panel.x, line.value),
        "textangle": -90,
        "xanchor": "right",
        "yanchor": "top" if hangs else "bottom",
        **start,
    }


def _on(axis: Axis, value: float) -> float:
    """Where plotly puts `value`: annotations are placed by the logarithm on a log axis."""
    return math.log10(value) if axis.is_log else value


def _axis(line: Line, panel: Panel) -> Axis:
    return panel.x if line.along == "x" else panel.y
