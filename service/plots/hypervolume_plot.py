"""The growth of the hypervolume as an interactive chart."""

from itertools import pairwise

import plotly.graph_objects as go

from service.domain.front import HypervolumeTrace
from service.plots import palette
from service.plots.axes import fit_axis
from service.plots.plot_layout import axis_layout, chart_layout


def hypervolume_figure(trace: HypervolumeTrace) -> go.Figure | None:
    """Hypervolume over completed trials, as steps; None without any.

    Only the trials that raised it and the last are drawn: the line is the same without the
    others, and thousands of them would make it slow.
    """
    if not trace.points:
        return None
    grown = [
        point
        for before, point in pairwise([None, *trace.points])
        if point is not None and point.hypervolume > (before.hypervolume if before else 0.0)
    ]
    shown = grown if grown and grown[-1] == trace.points[-1] else [*grown, trace.points[-1]]
    completed = [0, *(point.completed for point in shown)]
    volumes = [0.0, *(point.hypervolume for point in shown)]
    hovers = [
        "Before any trial",
        *(
            f"<b>After {point.completed} trials</b><br>hypervolume {point.hypervolume:.5g}"
            f"<br>the last was trial {point.trial_number}, after {point.elapsed_s:,.0f} s"
            for point in shown
        ),
    ]
    figure = go.Figure(
        go.Scatter(
            x=completed,
            y=volumes,
            mode="lines+markers",
            line={"shape": "hv", "color": palette.FRONT, "width": 2},
            marker={
                "symbol": "diamond",
                "size": [0, *([9] * len(grown)), *([0] * (len(shown) - len(grown)))],
                "color": palette.FRONT,
                "opacity": 1,
                "line": {"width": 0},
            },
            hovertext=hovers,
            hovertemplate="%{hovertext}<extra></extra>",
            name="hypervolume",
            showlegend=False,
        )
    )
    x = fit_axis("completed", "completed trials", 0, [0.0, float(completed[-1])])
    y = fit_axis("hypervolume", "hypervolume, higher is better", 1, [0.0, volumes[-1]])
    figure.update_layout(chart_layout(axis_layout(x), axis_layout(y)))
    return figure


def trials_since_growth(trace: HypervolumeTrace) -> int:
    """How many trials completed since the hypervolume last grew."""
    if not trace.points:
        return 0
    last = trace.points[-1].hypervolume
    return sum(point.hypervolume == last for point in trace.points) - (1 if last > 0 else 0)
