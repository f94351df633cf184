"""The front as a picture (matplotlib): the same panels as the page's, as SVG or PNG.

matplotlib takes half a second to import: only who asks for a picture pays for it.
"""

import io
import textwrap
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.domain.errors import InvalidRequest
from service.domain.front import Front
from service.plots import palette
from service.plots.front_plot import ERROR_BAR_SEMS
from service.plots.front_summary import (
    explain_predicted_front,
    explain_reference,
    summarize_front,
)
from service.plots.panels import Line, Mark, Panel, panels_of
from service.plots.predicted_marks import PredictedGroup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIN_WIDTH_PX, MAX_WIDTH_PX = 200, 4_000

_DRAWING = threading.Lock()  # matplotlib's caches of fonts and glyphs are not thread-safe
_REGION_OPACITY = 0.10
_MAX_LABELS = 30
_CHARACTERS_PER_INCH = 15
_INK = "#1F2328"
_QUIET = "#57606A"
_GRID = "#E3E6EA"


def front_svg(front: Front) -> bytes:
    """An SVG picture of the front, the same bytes for the same front; text as outlines."""
    return _drawn(front, "svg")


def front_png(front: Front, width_px: int = 1_400) -> bytes:
    """A PNG picture of the front, `width_px` wide.

    Raises: InvalidRequest if the width lies outside [200, 4000].
    """
    if not MIN_WIDTH_PX <= width_px <= MAX_WIDTH_PX:
        raise InvalidRequest(
            f"A picture {width_px} pixels wide is not drawn.",
            field="width",
            remedy=f"Ask for {MIN_WIDTH_PX} to {MAX_WIDTH_PX} pixels.",
        )
    return _drawn(front, "png", width_px)


def _drawn(front: Front, image_format: str, width_px: int | None = None) -> bytes:
    import matplotlib  # noqa: PLC0415  (late on purpose)
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415

    with _DRAWING:
        # Ids in the SVG come from this salt instead of chance.
        matplotlib.rcParams["svg.hashsalt"] = "archfront"
        figure = _figure(front)
        FigureCanvasAgg(figure)
        stream = io.BytesIO()
        figure.savefig(
            stream,
            format=image_format,
            dpi="figure" if width_px is None else width_px / figure.get_figwidth(),
            metadata={"Date": None} if image_format == "svg" else {"Software": None},
        )
        return stream.getvalue()


def _figure(front: Front) -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    panels = panels_of(front)
    columns = min(max(len(panels), 1), 3)
    rows = -(-len(panels) // columns) or 1
    size = (9.0, 6.0) if columns == 1 else (4.8 * columns, 4.4 * rows + 1.0)
    layout = ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12)
    figure = Figure(figsize=size, facecolor="white", layout=layout)
    figure.suptitle(
        front.experiment_name,
        x=0.015,
        ha="left",
        fontsize=15,
        fontweight="bold",
        color=_INK,
        parse_math=False,
    )
    figure.supxlabel(
        _caption(front, panels, int(_CHARACTERS_PER_INCH * size[0])),
        x=0.015,
        ha="left",
        fontsize=8.5,
        color=_QUIET,
        parse_math=False,
    )
    if not panels:
        _say_that_it_is_empty(figure)
    for number, panel in enumerate(panels, start=1):
        _draw(figure.add_subplot(rows, columns, number), panel)
    return figure


def _caption(front: Front, panels: Sequence[Panel], width: int) -> str:
    sentences = [summarize_front(front), explain_reference(front)]
    if any(m.sem for point in front.front for m in point.measurements.values()):
        sentences.append("Bars: two standard errors to each side.")
    sentences.append(explain_predicted_front(front))
    outside = max((panel.outside for panel in panels), default=0)
    if outside:
        verb = "trial lies" if outside == 1 else "trials lie"
        sentences.append(f"{outside} far-off {verb} outside the picture.")
    return textwrap.fill(" ".join(filter(None, sentences)), width)


def _say_that_it_is_empty(figure: "Figure") -> None:
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, "no completed trial yet", ha="center", va="center", fontsize=16, color=_QUIET
    )


def _draw(axes: "Axes", panel: Panel) -> None:
    _prepare(axes, panel)
    if panel.region:
        x, y = zip(*panel.region, strict=True)
        axes.fill(x, y, color=palette.FRONT, alpha=_REGION_OPACITY, lw=0, label="hypervolume")
    for line in panel.lines:
        _draw_line(axes, line, panel)
    if panel.dominated:
        _scatter(axes, panel.dominated, "dominated", "o", facecolors="none", ec=palette.DOMINATED)
    if panel.infeasible:
        _scatter(axes, panel.infeasible, "outside the constraints", "x", c=palette.INFEASIBLE)
    if panel.corners:
        x, y = zip(*panel.corners, strict=True)
        axes.plot(x, y, color=palette.FRONT, lw=1.8, label=panel.line_label, zorder=3)
    for group in panel.predicted:
        _draw_predicted(axes, group)
    if panel.front:
        _draw_front(axes, panel)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=4 if panel.predicted and panel.is_whole else 5 if panel.is_whole else 2,
        frameon=False,
        fontsize=8.5,
        borderaxespad=0.2,
        handletextpad=0.5,
        columnspacing=1.4,
    )


def _prepare(axes: "Axes", panel: Panel) -> None:
    axes.set_xscale("log" if panel.x.is_log else "linear")
    axes.set_yscale("log" if panel.y.is_log else "linear")
    for direction, shown in ((axes.xaxis, panel.x), (axes.yaxis, panel.y)):
        if shown.is_log:
            direction.set_ticks(shown.log_ticks, [f"{tick:g}" for tick in shown.log_ticks])
            direction.set_ticks([], minor=True)
    axes.set_xlim(panel.x.low, panel.x.high)
    axes.set_ylim(panel.y.low, panel.y.high)
    axes.set_xlabel(panel.x.title, color=_INK, parse_math=False)
    axes.set_ylabel(panel.y.title, color=_INK, parse_math=False)
    axes.grid(visible=True, color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _scatter(axes: "Axes", marks: tuple[Mark, ...], name: str, marker: str, **style: str) -> None:
    x, y = [mark.x for mark in marks], [mark.y for mark in marks]
    label = f"{name} ({len(marks)})"
    axes.scatter(x, y, s=30, marker=marker, lw=1.3, label=label, zorder=2, **style)  # type: ignore[arg-type]


def _draw_predicted(axes: "Axes", group: PredictedGroup) -> None:
    marks = group.marks
    x, y = [mark.x for mark in marks], [mark.y for mark in marks]
    axes.errorbar(
        x,
        y,
        xerr=[ERROR_BAR_SEMS * mark.x_sd for mark in marks],
        yerr=[ERROR_BAR_SEMS * mark.y_sd for mark in marks],
        fmt="none",
        ecolor=palette.PREDICTED,
        elinewidth=1.1,
        capsize=2.5,
        zorder=3,
    )
    axes.scatter(
        x,
        y,
        s=75,
        marker="s" if group.is_tried else "^",
        facecolors="none",
        edgecolors=palette.PREDICTED,
        lw=1.5,
        zorder=3.5,
        label=group.name,
    )


def _draw_front(axes: "Axes", panel: Panel) -> None:
    x, y = [mark.x for mark in panel.front], [mark.y for mark in panel.front]
    axes.errorbar(
        x,
        y,
        xerr=[ERROR_BAR_SEMS * mark.x_sem for mark in panel.front],
        yerr=[ERROR_BAR_SEMS * mark.y_sem for mark in panel.front],
        fmt="none",
        ecolor=palette.FRONT,
        elinewidth=1.1,
        capsize=2.5,
        zorder=3,
    )
    axes.scatter(
        x,
        y,
        s=70,
        marker="D",
        c=palette.FRONT,
        edgecolors=palette.OUTLINE,
        lw=0.9,
        zorder=4,
        label=f"on the front ({len(x)})",
    )
    if not panel.is_whole or len(x) > _MAX_LABELS:
        return
    for mark in panel.front:
        axes.annotate(
            str(mark.point.trial_number),
            (mark.x, mark.y),
            xytext=(7 * (panel.x.sign or 1), 7 * panel.y.sign),
            textcoords="offset points",
            ha="right" if panel.x.sign < 0 else "left",
            va="bottom" if panel.y.sign > 0 else "top",
            fontsize=8.5,
            color=_INK,
        )


def _draw_line(axes: "Axes", line: Line, panel: Panel) -> None:
    colour = palette.BOUND if line.is_bound else palette.REFERENCE
    style = ":" if line.is_bound else "--"
    label = {"fontsize": 8, "color": _QUIET, "parse_math": False}
    if line.along == "y":
        axes.axhline(line.value, color=colour, ls=style, lw=1.2, zorder=1)
        if panel.is_whole and panel.y.shows(line.value):
            is_left = panel.x.sign >= 0
            axes.text(
                0.01 if is_left else 0.99,
                line.value,
                line.label,
                transform=axes.get_yaxis_transform(),
                ha="left" if is_left else "right",
                va="bottom",
                **label,  # type: ignore[arg-type]
            )
        return
    axes.axvline(line.value, color=colour, ls=style, lw=1.2, zorder=1)
    if panel.is_whole and panel.x.shows(line.value):
        hangs = panel.y.sign < 0
        axes.text(
            line.value,
            0.90 if hangs else 0.10,
            line.label,
            transform=axes.get_xaxis_transform(),
            rotation=90,
            ha="right",
            va="top" if hangs else "bottom",
            **label,  # type: ignore[arg-type]
        )
