"""Expected hypervolume improvement of one point with independent objectives, exactly.

The improvement is a sum over the boxes that the front leaves open; within one, the objectives
part, and each contributes E[(y - lower)+] - E[(y - upper)+] [Emmerich2011]. All of it is kept in
logarithms, so that it has a slope where it is next to nothing [Ament2023].

[Emmerich2011] M. Emmerich, A. Deutz, J. W. Klinkenberg. Hypervolume-based expected improvement:
    Monotonicity properties and exact computation. CEC 2011.
[Ament2023] S. Ament et al. Unexpected Improvements to Expected Improvement for Bayesian
    Optimization. NeurIPS 2023.
"""

from collections.abc import Sequence

import moocore
import numpy as np
import numpy.typing as npt

from service.domain.pareto import Points, is_non_dominated
from service.optimizer.acquisition.cells import open_cells
from service.optimizer.acquisition.excess import Slopes

Array = npt.NDArray[np.float64]

_CLOSEST = -1e-13
"""Two logarithms nearer than this count as so far apart: no box is quite without volume."""


MAX_FRONT = 200
"""Points of a front of three objectives: they leave some 3,400 boxes."""


class HypervolumeImprovement:
    """What a point adds to a front's hypervolume, in expectation.

    front: k x m and reference: m, both to be maximised. edges: of each objective the thresholds
    between boxes.
    """

    def __init__(self, front: Points, reference: Points) -> None:
        lower, upper = open_cells(_most_telling(front, reference), reference)
        self.edges: list[Array] = []
        self._lower: list[npt.NDArray[np.intp]] = []
        self._upper: list[npt.NDArray[np.intp]] = []
        for objective in range(lower.shape[1]):
            edges = np.unique(lower[:, objective])
            self.edges.append(edges)
            self._lower.append(np.searchsorted(edges, lower[:, objective]))
            # every finite upper corner is the lower corner of another box; infinity comes last
            self._upper.append(np.searchsorted(edges, upper[:, objective]))

    def log_values(self, excesses: Sequence[Array]) -> Array:
        """The logarithm (q) at q points.

        excesses: of each objective log E[(y - edge)+] at every point and edge (q x edges).
        """
        total: Array | float = 0.0
        for objective, excess in enumerate(excesses):
            total = total + self._log_within(excess, objective)
        return log_sum(np.asarray(total), axis=1)

    def log_value_and_slopes(
        self, excesses: Sequence[Array], slopes: Sequence[Slopes]
    ) -> tuple[float, Array]:
        """The logarithm at one point, and its slopes by each mean and each deviation (m x 2).

        excesses, slopes: of each objective, at every edge.
        """
        within = [
            self._log_within(excess[np.newaxis], objective)[0]
            for objective, excess in enumerate(excesses)
        ]
        of_box = np.sum(within, axis=0)
        total = float(log_sum(of_box, axis=0))
        share = np.exp(of_box - total)
        found = np.zeros((len(excesses), 2))
        for objective, both in enumerate(slopes):
            for column, terms in enumerate(both):
                for sign, logarithm in terms:
                    beyond = np.append(logarithm, -np.inf)
                    low = np.exp(beyond[self._lower[objective]] - within[objective])
                    high = np.exp(beyond[self._upper[objective]] - within[objective])
                    found[objective, column] += sign * float(share @ (low - high))
        return total, found

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
