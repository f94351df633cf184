"""Hypervolume over trials, one small SVG per problem: medians with quartile bands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.optimizer.peers.registry import PEER_NAMES
from benchmarks.optimizer.records import Run
from benchmarks.optimizer.statistics import median_curve, of_optimizer

# Okabe and Ito's colours, told apart by dashes too
_STYLES: Final = {
    "auto": ("#000000", "-"),
    "ax_default": ("#0072B2", "-"),
    "optuna_gp": ("#D55E00", "-"),
    "optuna_tpe": ("#D55E00", "--"),
    "optuna_nsga2": ("#D55E00", ":"),
    "pymoo_nsga2": ("#009E73", ":"),
    "vizier": ("#CC79A7", "-"),
    "sobol": ("#777777", "-."),
}
_POINTS: Final = 50
"""Points of a curve, for small files."""
_OTHERS: Final = ("#E69F00", "--")


def write_plot(problem: str, runs: Sequence[Run], path: Path) -> None:
    """Writes the SVG; equal runs give an equal file."""
    with mpl.rc_context({"svg.hashsalt": problem, "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(6.0, 3.4), layout="constrained")
        axes = figure.add_subplot()
        names = [name for name in _STYLES if of_optimizer(runs, name)]
        names += sorted({run.optimizer for run in runs} - {*_STYLES, *PEER_NAMES})
        for name in names:
            colour, dashes = _STYLES.get(name, _OTHERS)
            found = of_optimizer(runs, name)
            lower, median, upper = median_curve(found)
            every = max(1, len(median) // _POINTS)
            trials = np.arange(1, len(median) + 1)[::-every][::-1]  # the last trial among them
            lower, median, upper = (curve[trials - 1] for curve in (lower, median, upper))
            label = f"{name} ({len(found)})"
            axes.plot(trials, median, dashes, color=colour, linewidth=1.2, label=label)
            axes.fill_between(trials, lower, upper, color=colour, alpha=0.12, linewidth=0)
        axes.set(xlabel="trials", ylabel="hypervolume", title=problem)
        axes.legend(loc="lower right", title="optimizer (seeds)", fontsize=7, frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
