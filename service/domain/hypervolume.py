"""The hypervolume indicator: how much of objective space a set of points dominates.

Zitzler, Thiele: Multiobjective evolutionary algorithms (1999). Exact, by the library moocore
(Fonseca, Paquete, López-Ibáñez 2006; Guerreiro, Fonseca 2018).
"""

import math
import sys
from bisect import bisect_left

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
        self._stairs = _Stairs(reference) if len(reference) == 2 else None

    def add(self, point: Points) -> float:
        """The hypervolume with `point` (m coordinates, to be maximised) in the set."""
        if np.all(point > self._reference):
            gain = self._stairs.add(*point.tolist()) if self._stairs else self._gain(point)
            self.total = _within_range(self.total + max(gain, 0.0))
        return self.total

    def _gain(self, point: Points) -> float:
        column = point[:, np.newaxis]
        if np.any(np.all(self._columns >= column, axis=0)):
            return 0.0
        beaten = np.all(self._columns <= column, axis=0)
        standing = self._columns[:, ~beaten] if beaten.any() else self._columns
        covered = np.hstack([self._columns[:, beaten], np.minimum(standing, column)])
        self._columns = np.hstack([standing, column])
        box = hypervolume(point[np.newaxis], self._reference)
        return box - hypervolume(np.ascontiguousarray(covered.T), self._reference)


class _Stairs:
    """A front in the plane: two objectives to be maximised, ascending by the first.

    Then the second descends, and a point concerns only its neighbours.
    """

    def __init__(self, reference: Points) -> None:
        self._reference = reference.tolist()
        self._firsts: list[float] = []
        self._seconds: list[float] = []

    def add(self, first: float, second: float) -> float:
        """The area that the point, better than the reference, adds; 0.0 if it is dominated."""
        firsts, seconds = self._firsts, self._seconds
        begin = end = bisect_left(firsts, first)
        if end < len(firsts) and seconds[end] >= second:
            return 0.0
        if end < len(firsts) and firsts[end] == first:
            end += 1
        while begin > 0 and seconds[begin - 1] <= second:
            begin -= 1
        left, floor = self._reference
        left = firsts[begin - 1] if begin > 0 else left
        floor = seconds[end] if end < len(seconds) else floor
        gain = 0.0
        for right, covered in zip(
            [*firsts[begin:end], first], [*seconds[begin:end], floor], strict=True
        ):
            # Of halves: a difference of two floats may lie beyond the range of one.
            gain += 4.0 * ((right / 2 - left / 2) * (second / 2 - covered / 2))
            left = right
        firsts[begin:end], seconds[begin:end] = [first], [second]
        return gain


def _within_range(volume: float) -> float:
    return volume if math.isfinite(volume) else LARGEST_HYPERVOLUME
