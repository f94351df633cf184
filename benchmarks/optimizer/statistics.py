"""What the tables say of the runs: medians and quartiles over seeds, ratios, trials needed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.optimizer.peers.registry import PEER_NAMES
from benchmarks.optimizer.records import Run

_WINDOW = 5
"""A suggestion's cost is the mean of those within so many trials of it: some come in batches."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles over `seeds` runs."""

    median: float
    lower: float
    upper: float
    seeds: int


def of_optimizer(runs: Sequence[Run], optimizer: str) -> list[Run]:
    """The runs of one optimizer."""
    return [run for run in runs if run.optimizer == optimizer]


def hypervolume_at(runs: Sequence[Run], trials: int) -> Spread | None:
    """Over the runs that are so long; None if none is."""
    return _spread([run.hypervolume[trials - 1] for run in runs if run.trials >= trials])


def cost_at(runs: Sequence[Run], trials: int) -> Spread | None:
    """CPU seconds of one suggestion near that trial; None if no run is so long."""
    near = [
        float(np.mean(run.cpu_s[max(trials - 1 - _WINDOW, 0) : trials + _WINDOW]))
        for run in runs
        if run.trials >= trials
    ]
    return _spread(near)


def median_curve(runs: Sequence[Run]) -> NDArray[np.float64]:
    """3 x n: lower quartile, median and upper quartile over all runs, up to the shortest."""
    shortest = min(run.trials for run in runs)
    curves = np.array([run.hypervolume[:shortest] for run in runs])
    quartiles: NDArray[np.float64] = np.quantile(curves, [0.25, 0.5, 0.75], axis=0)
    return quartiles


def best_peer(runs: Sequence[Run], trials: int) -> tuple[str, Spread] | None:
    """The peer with the largest median hypervolume at that trial; None without any."""
    found = {
        peer: spread
        for peer in PEER_NAMES
        if (spread := hypervolume_at(of_optimizer(runs, peer), trials)) is not None
    }
    if not found:
        return None
    best = max(found, key=lambda peer: found[peer].median)
    return best, found[best]


def ratio_to_best_peer(runs: Sequence[Run], optimizer: str, trials: int) -> float | None:
    """Median hypervolume against the best peer's; None if either has no run so long.

    Where the best peer's median is 0: infinity if the optimizer's is not, else 1.
    """
    ours = hypervolume_at(of_optimizer(runs, optimizer), trials)
    best = best_peer(runs, trials)
    if ours is None or best is None:
        return None
    theirs = best[1].median
    if theirs == 0.0:
        return float("inf") if ours.median > 0.0 else 1.0
    return ours.median / theirs


def trials_needed(runs: Sequence[Run], optimizer: str, trials: int) -> int | None:
    """After how many trials the median curve reaches the best peer's median at `trials`.

    None if it does not, or if either has no run so long.
    """
    ours, best = of_optimizer(runs, optimizer), best_peer(runs, trials)
    if not ours or best is None:
        return None
    reached = np.flatnonzero(median_curve(ours)[1] >= best[1].median)
    return int(reached[0]) + 1 if len(reached) else None


def growth_exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Least-squares slope of log seconds over log size."""
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    lower, median, upper = (float(v) for v in np.quantile(values, [0.25, 0.5, 0.75]))
    return Spread(median, lower, upper, len(values))
