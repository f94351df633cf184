"""Expected hypervolume improvement of one point with independent normal objectives, exactly.

The improvement is a sum over the boxes that the front leaves open; within one, the objectives
part, and each contributes E[(y - lower)+] - E[(y - upper)+] [Emmerich2011]. All of it is kept in
logarithms, so that it has a slope where it is next to nothing [Ament2023].

[Emmerich2011] M. Emmerich, A. Deutz, J. W. Klinkenberg. Hypervolume-based expected improvement:
    Monotonicity properties and exact computation. CEC 2011.
[Ament2023] S. Ament et al. Unexpected Improvements to Expected Improvement for Bayesian
    Optimization. NeurIPS 2023.
"""

import moocore
import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, log_ndtr  # type: ignore[import-untyped]

from service.domain.pareto import Points, is_non_dominated
from service.optimizer.acquisition.cells import open_cells

Array = npt.NDArray[np.float64]

_LOG_ROOT_2_PI = 0.5 * np.log(2.0 * np.pi)
_ASYMPTOTIC_BELOW = -1e4
_CLOSEST = -1e-13
"""Two logarithms nearer than this count as so far apart: no box is quite without volume."""


MAX_FRONT = 200
"""Points of a front of three objectives: they leave some 3,400 boxes."""


class HypervolumeImprovement:
    """What a point adds to a front's hypervolume, in expectation.

    front: k x m and reference: m, both to be maximised.
    """

    def __init__(self, front: Points, reference: Points) -> None:
        lower, upper = open_cells(_most_telling(front, reference), reference)
        self._edges: list[Array] = []
        self._lower: list[npt.NDArray[np.intp]] = []
        self._upper: list[npt.NDArray[np.intp]] = []
        for objective in range(lower.shape[1]):
            edges = np.unique(lower[:, objective])
            self._edges.append(edges)
            self._lower.append(np.searchsorted(edges, lower[:, objective]))
            # every finite upper corner is the lower corner of another box; infinity comes last
            self._upper.append(np.searchsorted(edges, upper[:, objective]))

    def log_values(self, means: Array, deviations: Array) -> Array:
        """The logarithm (q) at q points; means and deviations are q x m."""
        total: Array | float = 0.0
        for objective, edges in enumerate(self._edges):
            mean, deviation = means[:, objective, None], deviations[:, objective, None]
            excess = np.log(deviation) + _log_h((mean - edges) / deviation)
            total = total + self._log_within(excess, objective)
        return log_sum(np.asarray(total), axis=1)

    def log_value_and_gradients(
        self, means: Array, deviations: Array
    ) -> tuple[float, Array, Array]:
        """The logarithm at one point, and its gradients (m) by means and deviations (each m)."""
        within, excesses, scores = [], [], []
        for objective, edges in enumerate(self._edges):
            score = (means[objective] - edges) / deviations[objective]
            excess = np.log(deviations[objective]) + _log_h(score)
            scores.append(score)
            excesses.append(excess)
            within.append(self._log_within(excess[np.newaxis], objective)[0])
        of_box = np.sum(within, axis=0)
        total = float(log_sum(of_box, axis=0))
        share = np.exp(of_box - total)
        by_mean, by_deviation = np.empty(len(means)), np.empty(len(means))
        for objective, score in enumerate(scores):
            # d E[(y - a)+] / d mean = Phi, by the deviation = phi
            for slope, gradient in (
                (log_ndtr(score), by_mean),
                (-0.5 * score**2 - _LOG_ROOT_2_PI, by_deviation),
            ):
                slopes = np.append(slope, -np.inf)
                low = np.exp(slopes[self._lower[objective]] - within[objective])
                high = np.exp(slopes[self._upper[objective]] - within[objective])
                gradient[objective] = share @ (low - high)
        return total, by_mean, by_deviation

    def _log_within(self, excess: Array, objective: int) -> Array:
        """log(E[(y - lower)+] - E[(y - upper)+]) for every box; excess: q x edges."""
        beyond = np.hstack([excess, np.full((len(excess), 1), -np.inf)])
        low = excess[:, self._lower[objective]]
        ratio = np.minimum(beyond[:, self._upper[objective]] - low, _CLOSEST)
        within: Array = low + np.log(-np.expm1(ratio))
        return within


def _most_telling(front: Points, reference: Points) -> Points:
    """The points of a crowded front that alone dominate the most; all of one that is not."""
    m = len(reference)
    better = front[np.all(front > reference, axis=1)]
    if m <= 2 or len(better) <= MAX_FRONT:
        return front
    better = better[is_non_dominated(better)]
    alone = moocore.hv_contributions(better, ref=reference, maximise=True)
    telling: Points = better[np.sort(np.argsort(-alone, kind="stable")[:MAX_FRONT])]
    return telling


def log_sum(logarithms: Array, axis: int) -> Array:
    """The logarithm of the sum of what `logarithms` stand for; a tenth of SciPy's cost here."""
    largest = logarithms.max(axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    total: Array = np.log(np.exp(logarithms - largest).sum(axis=axis)) + largest.squeeze(axis)
    return total


def _log_h(score: Array) -> Array:
    """log(phi(z) + z Phi(z)): the standard normal's expected excess over -z, for any z."""
    near = np.maximum(score, _ASYMPTOTIC_BELOW)
    # phi + z Phi = phi (1 + z Phi / phi), Phi / phi = sqrt(pi / 2) erfcx(-z / sqrt 2)
    falling = np.minimum(near, 0.0)
    ratio = np.sqrt(np.pi / 2.0) * erfcx(-falling / np.sqrt(2.0))
    below = -0.5 * falling**2 - _LOG_ROOT_2_PI + np.log1p(falling * ratio)
    rising = np.maximum(near, 0.0)
    density = np.exp(-0.5 * rising**2 - _LOG_ROOT_2_PI)
    above = np.log(density + rising * np.exp(log_ndtr(rising)))
    far = -0.5 * score**2 - _LOG_ROOT_2_PI - 2.0 * np.log(np.maximum(-score, 1.0))
    values: Array = np.where(score < _ASYMPTOTIC_BELOW, far, np.where(near < 0, below, above))
    return values
