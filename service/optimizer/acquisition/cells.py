"""The part of objective space that a front leaves open, cut into boxes.

By slicing along the last objective [Fonseca2006 in spirit]: between two neighbouring values of it
the points that reach the slab dominate there whatever they dominate in the other objectives.
"""

import numpy as np
import numpy.typing as npt

from service.domain.pareto import Points, is_non_dominated


def open_cells(front: Points, reference: Points) -> tuple[Points, Points]:
    """Lower and upper corners (cells x m) of disjoint boxes; an upper corner may be infinite.

    front: k x m, to be maximised; its points need not be non-dominated, nor beat `reference`.
    The boxes cover all that is better than `reference` in each objective and not dominated.
    At most (k + 1)^(m - 1) boxes: meant for m <= 3.
    """
    better = front[np.all(front > reference, axis=1)]
    if len(better):
        better = np.unique(better[is_non_dominated(better)], axis=0)
    return _slices(better, reference)


def _slices(front: Points, reference: Points) -> tuple[Points, Points]:
    m = len(reference)
    if m == 1:
        low = reference if len(front) == 0 else front.max(axis=0)
        return low[np.newaxis], np.full((1, 1), np.inf)
    edges = np.unique(np.append(front[:, -1], reference[-1]))
    lowers, uppers = [], []
    for low, high in zip(edges, [*edges[1:], np.inf], strict=True):
        reaching = front[front[:, -1] > low, :-1]
        if len(reaching) and m > 2:
            reaching = np.unique(reaching[is_non_dominated(reaching)], axis=0)
        lower, upper = _slices(reaching, reference[:-1])
        lowers.append(_with_last(lower, low))
        uppers.append(_with_last(upper, high))
    return np.vstack(lowers), np.vstack(uppers)


def _with_last(corners: Points, last: float) -> npt.NDArray[np.float64]:
    return np.hstack([corners, np.full((len(corners), 1), last)])
