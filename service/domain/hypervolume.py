"""The hypervolume indicator: how much of objective space a set of points dominates.

Zitzler, Thiele: Multiobjective evolutionary algorithms (1999). Exact, by the library moocore
(Fonseca, Paquete, López-Ibáñez 2006; Guerreiro, Fonseca 2018).
"""

import math
import sys

import moocore
import numpy as np

from service.domain.pareto import Points

LARGEST_HYPERVOLUME = sys.float_info.max


def hypervolume(points: Points, reference: Points) -> float:
    """Volume dominated by `points` and bounded by `reference`; larger is better.

    points: n x m, every coordinate to be maximised. Points not better than `reference` in
        all m coordinates add nothing; no points give 0.0.
    reference: m coordinates.
    Exact; meant for m <= 4. Beyond the range of a float: `LARGEST_HYPERVOLUME`.
    Raises: ValueError if the points and `reference` differ in length.
    """
    if points.ndim != 2 or points.shape[1] != len(reference):
        raise ValueError(
            f"points of shape {points.shape} do not fit a reference point of length "
            f"{len(reference)}; give n x {len(reference)}"
        )
    better = points[np.all(points > reference, axis=1)]
    if len(better) == 0:
        return 0.0
    # moocore keeps the largest float as a sentinel and dies of coordinates near it. Scaling
    # each axis by a power of two is exact and brings all of them into [-1, 1].
    _, exponents = np.frexp(np.abs(np.vstack([better, reference])).max(axis=0))
    unit = moocore.hypervolume(
        np.ldexp(better, -exponents), ref=np.ldexp(reference, -exponents), maximise=True
    )
    with np.errstate(over="ignore", under="ignore"):
        return _within_range(float(np.ldexp(unit, exponents.sum())))


class GrowingHypervolume:
    """The hypervolume of a set that grows point by point; `total` never falls.

    Each point adds what it alone dominates: its box less the part that the set already
    covers, which the set's points, cut down to that box, span [While, Bradstreet, Barone
    2012]. A point that the set dominates costs one comparison with the front.
    """

    def __init__(self, reference: Points) -> None:
        self.total = 0.0
        self._reference = reference
        self._columns: Points = np.empty((len(reference), 0))  # m x n: quick to compare

    def add(self, point: Points) -> float:
        """The hypervolume with `point` (m coordinates, to be maximised) in the set."""
        if not np.all(point > self._reference):
            return self.total
        column = point[:, np.newaxis]
        if np.any(np.all(self._columns >= column, axis=0)):
            return self.total
        beaten = np.all(self._columns <= column, axis=0)
        standing = self._columns[:, ~beaten] if beaten.any() else self._columns
        covered = np.hstack([self._columns[:, beaten], _cut_to_box(standing, column)])
        box = hypervolume(point[np.newaxis], self._reference)
        gain = box - hypervolume(np.ascontiguousarray(covered.T), self._reference)
        self.total = _within_range(self.total + max(gain, 0.0))
        self._columns = np.hstack([standing, column])
        return self.total


def _cut_to_box(columns: Points, column: Points) -> Points:
    """Points (m x k) that span what `columns`, none dominated by `column`, cover of its box."""
    if len(column) != 2:
        return np.minimum(columns, column)
    # In the plane every point, cut down, lies on one of the box's two far edges, and the
    # outermost on each edge dominates the rest: two points stand for any number of them.
    outermost = []
    for axis in (0, 1):
        beyond = columns[:, columns[axis] >= column[axis]]
        if beyond.shape[1] > 0:
            outermost.append(np.minimum(beyond.max(axis=1, keepdims=True), column))
    return np.hstack(outermost) if outermost else columns[:, :0]


def _within_range(volume: float) -> float:
    return volume if math.isfinite(volume) else LARGEST_HYPERVOLUME
