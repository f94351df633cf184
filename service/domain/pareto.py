"""Dominance between trials: their objectives as points, and which points no other beats."""

from collections.abc import Mapping, Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

from service.domain.measurement import Measurement
from service.domain.objective import Objective

Points = NDArray[np.float64]
"""n x m: n points in m objectives, every coordinate to be maximised."""


def oriented(
    objectives: Sequence[Objective], measurements: Sequence[Mapping[str, Measurement]]
) -> Points:
    """The objectives' means as an n x m array, every coordinate to be maximised.

    Raises: KeyError if a mapping lacks an objective's metric.
    """
    rows = [
        [objective.sign * measured[objective.metric].mean for objective in objectives]
        for measured in measurements
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(objectives))


def is_non_dominated(points: Points) -> NDArray[np.bool_]:
    """For each of the n x m `points`, to be maximised, whether no other dominates it.

    p dominates q if p is at least as large in all m coordinates and larger in one: equal
    points leave each other standing. NaN is not allowed. O(n log n) for m <= 3.
    """
    if len(points) == 0:
        return np.zeros(0, dtype=np.bool_)
    kept = moocore.is_nondominated(points, maximise=True, keep_weakly=True)
    return np.asarray(kept, dtype=np.bool_)
