"""The line through a front in two objectives, and the region that it dominates."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from service.domain.pareto import is_non_dominated

Vertex = tuple[float, float]


def staircase(points: Sequence[Vertex], signs: Vertex, reference: Vertex | None) -> list[Vertex]:
    """Corners of the line between what `points` dominate and what they do not.

    points, reference: in their own directions; signs: +1 where larger is better, else -1.
    Its ends are drawn out to the reference point's level. No points give no corners.
    """
    steps = _non_dominated(_turned(points, signs))
    if not steps:
        return []
    corners = [steps[0]]
    for (x, _), step in pairwise(steps):
        corners += [(x, step[1]), step]
    if reference is not None:
        (left, bottom), *_ = _turned([reference], signs)
        corners.insert(0, (min(left, corners[0][0]), corners[0][1]))
        corners.append((corners[-1][0], min(bottom, corners[-1][1])))
    return _turned(corners, signs)


def dominated_region(
    points: Sequence[Vertex], signs: Vertex, reference: Vertex | None
) -> list[Vertex]:
    """The polygon whose area is the hypervolume of `points`; empty if there is none."""
    if reference is None:
        return []
    (worst,) = _turned([reference], signs)
    better = [
        point
        for point in points
        if all(p > w for p, w in zip(_turned([point], signs)[0], worst, strict=True))
    ]
    corners = staircase(better, signs, reference)
    return [*corners, reference, corners[0]] if corners else []


def _turned(points: Sequence[Vertex], signs: Vertex) -> list[Vertex]:
    return [(signs[0] * x + 0.0, signs[1] * y + 0.0) for x, y in points]


def _non_dominated(points: Sequence[Vertex]) -> list[Vertex]:
    """Those to be maximised that no other beats, by rising x and so by falling y."""
    kept = is_non_dominated(np.array(points, dtype=np.float64).reshape(len(points), 2))
    return sorted({point for point, stands in zip(points, kept, strict=True) if stands})
