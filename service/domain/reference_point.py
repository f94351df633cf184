"""The reference point of the hypervolume: the objectives' thresholds, inferred where not given.

The rule is BoTorch's `infer_reference_point`, after Ishibuchi et al., "Modified distance
calculation in generational distance and inverted generational distance" (2011): the front's
nadir moved back by a tenth of the front's range.
"""

import sys
from collections.abc import Sequence

import numpy as np

from service.domain.front import ReferencePoint
from service.domain.objective import Objective
from service.domain.pareto import Points, is_non_dominated

MARGIN = 0.1
"""Share of the front's range by which an inferred coordinate lies behind the nadir."""


def infer_reference_point(points: Points) -> Points:
    """The m coordinates a little worse than the worst of the front of `points`.

    points: n x m, to be maximised, n >= 1. Dominated points have no say, except that with a
        single objective, whose front is one value, all points have.
    Where all values are equal, the range counts as their size, or as 1 if they are 0: BoTorch
    then takes 1e-7, at which the front's hypervolume would be next to nothing.
    """
    front = points if points.shape[1] == 1 else points[is_non_dominated(points)]
    nadir, ideal = front.min(axis=0), front.max(axis=0)
    with np.errstate(over="ignore"):
        span = ideal - nadir
    size = np.where(nadir == 0, 1.0, np.abs(nadir))
    step = MARGIN * np.where(span > 0, span, size)
    largest = sys.float_info.max
    with np.errstate(over="ignore"):
        reference: Points = np.clip(nadir - np.minimum(step, largest), -largest, largest)
    return reference


def choose_reference_point(objectives: Sequence[Objective], points: Points) -> Points | None:
    """The thresholds as given, the rest inferred from `points`, all to be maximised.

    points: n x m, the feasible trials. None if none stands and a threshold is missing.
    """
    given = [objective.threshold for objective in objectives]
    if len(points) == 0 and None in given:
        return None
    inferred = infer_reference_point(points) if None in given else np.zeros(len(given))
    return np.array(
        [
            value if threshold is None else objective.sign * threshold
            for objective, threshold, value in zip(objectives, given, inferred, strict=True)
        ],
        dtype=np.float64,
    )


def in_own_units(objectives: Sequence[Objective], reference: Points) -> ReferencePoint:
    """`reference`, to be maximised, turned back into the metrics' own directions."""
    return ReferencePoint(
        values={
            objective.metric: objective.sign * float(coordinate) + 0.0  # no negative zero
            for objective, coordinate in zip(objectives, reference, strict=True)
        },
        inferred=tuple(o.metric for o in objectives if o.threshold is None),
    )
