"""What all interactive charts share: axes, margins, legend and fonts.

Paper and plot are transparent, the colours those of the light page; `front_page.js` knows
them by value and turns them dark where the reader has it so.
"""

import math
from html import escape
from typing import Any

from service.plots.axes import Axis

INK = "#1F2328"
PAPER = "#FFFFFF"
GRID = "#E3E6EA"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def axis_layout(axis: Axis) -> dict[str, Any]:
    """Plotly's layout of one axis."""
    bounds = [axis.low, axis.high]
    return {
        "title": {"text": escape(axis.title), "standoff": 10},
        "type": "log" if axis.is_log else "linear",
        "range": [math.log10(bound) for bound in bounds] if axis.is_log else bounds,
        # Plotly would label 0.05 as a bare 5.
        "tickvals": axis.log_ticks if axis.is_log else None,
        "ticktext": [f"{tick:g}" for tick in axis.log_ticks] if axis.is_log else None,
        "gridcolor": GRID,
        "linecolor": INK,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": INK,
        "automargin": True,
    }


def chart_layout(x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """Plotly's layout of a chart with these axes."""
    return {
        "xaxis": x,
        "yaxis": y,
        "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": INK},
        "margin": {"l": 60, "r": 16, "t": 8, "b": 52},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        "hoverlabel": {
            "align": "left",
            "bgcolor": PAPER,
            "bordercolor": INK,
            "font": {"color": INK},
        },
        "hovermode": "closest",
        "template": "none",
    }
