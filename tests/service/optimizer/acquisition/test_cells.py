"""The boxes: disjoint, open to improvement, and all that is left beside the front."""

import numpy as np
import pytest

from service.domain.hypervolume import hypervolume
from service.optimizer.acquisition.cells import open_cells


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_the_boxes_fill_what_the_front_leaves_of_the_space(objectives: int, size: int) -> None:
    front = np.random.default_rng(size).random((size, objectives))
    reference = np.full(objectives, 0.1)
    lower, upper = open_cells(front, reference)
    ceiling = 1.5  # beyond every point
    volume = np.prod(np.minimum(upper, ceiling) - lower, axis=1).sum()
    assert volume == pytest.approx((ceiling - 0.1) ** objectives - hypervolume(front, reference))
    assert np.all(lower < upper)


@pytest.mark.parametrize("objectives", [2, 3])
def test_every_point_lies_in_one_box_or_is_dominated(objectives: int) -> None:
    rng = np.random.default_rng(1)
    front = rng.random((9, objectives))
    reference = np.full(objectives, 0.2)
    lower, upper = open_cells(front, reference)
    for point in rng.uniform(0.0, 1.3, (200, objectives)):
        boxes = np.sum(np.all(lower < point, axis=1) & np.all(point <= upper, axis=1))
        beaten = np.any(np.all(front >= point, axis=1)) or np.any(point <= reference)
        assert boxes == (0 if beaten else 1)


def test_repeated_dominated_and_hopeless_points_add_no_box() -> None:
    reference = np.zeros(2)
    plain = open_cells(np.array([[1.0, 2.0], [2.0, 1.0]]), reference)
    crowded = open_cells(
        np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [0.5, 0.5], [-1.0, 3.0]]), reference
    )
    for one, other in zip(plain, crowded, strict=True):
        assert np.array_equal(one, other)
