"""The growth of the hypervolume as an interactive chart."""

import plotly.graph_objects as go

from service.domain.front import HypervolumeTrace
from service.plots import palette
from service.plots.axes import fit_axis
from service.plots.plot_layout import axis_layout, chart_layout


def hypervolume_figure(trace: HypervolumeTrace) -> go.Figure | None:
    """Hypervolume over completed trials, as steps; None without any."""
    if not trace.points:
        return None
    completed = [0, *(point.completed for point in trace.points)]
    volumes = [0.0, *(point.hypervolume for point in trace.points)]
    grown = [after > before for before, after in zip([0.0, *volumes], volumes, strict=False)]
    hovers = [
        "Before any trial",
        *(
            f"<b>After {point.completed} trials</b><br>hypervolume {point.hypervolume:.5g}"
            f"<br>the last was trial {point.trial_number}, after {point.elapsed_s:,.0f} s"
            for point in trace.points
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
                "size": [9 if step else 0 for step in grown],
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
