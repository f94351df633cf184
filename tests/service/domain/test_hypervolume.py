import itertools
import math
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.domain.hypervolume import LARGEST_HYPERVOLUME, GrowingHypervolume, hypervolume

GRID = 4
ORIGIN = {m: np.zeros(m) for m in range(1, 5)}
POINTS = st.integers(1, 4).flatmap(
    lambda m: st.integers(0, 12).flatmap(
        lambda n: arrays(np.float64, (n, m), elements=st.integers(-1, GRID).map(float))
    )
)


def cells_dominated(points):
    """Counts the unit cells of the grid that some point dominates."""
    cells = itertools.product(range(1, GRID + 1), repeat=points.shape[1])
    return sum(any((point >= cell).all() for point in points) for cell in cells)


@given(POINTS)
def test_counts_the_cells_of_a_grid(points):
    assert hypervolume(points, ORIGIN[points.shape[1]]) == pytest.approx(cells_dominated(points))


@given(POINTS, st.randoms(use_true_random=False))
def test_order_of_the_points_does_not_matter(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    reference = ORIGIN[points.shape[1]]
    assert hypervolume(points[order], reference) == pytest.approx(hypervolume(points, reference))


@given(POINTS)
def test_growing_gives_the_same_at_every_step_and_never_falls(points):
    reference = ORIGIN[points.shape[1]]
    grown = GrowingHypervolume(reference)
    before = 0.0
    for count, point in enumerate(points, start=1):
        total = grown.add(point)
        assert total >= before
        assert total == pytest.approx(hypervolume(points[:count], reference))
        before = total


@given(POINTS, st.floats(0.1, 100), st.floats(-100, 100))
def test_moving_all_changes_nothing_and_scaling_one_axis_scales_it(points, factor, offset):
    reference = ORIGIN[points.shape[1]]
    volume = hypervolume(points, reference)
    assert hypervolume(points + offset, reference + offset) == pytest.approx(volume, abs=1e-6)
    scale = np.ones(points.shape[1])
    scale[0] = factor
    assert hypervolume(points * scale, reference) == pytest.approx(volume * factor)


def test_points_not_better_than_the_reference_in_every_objective_add_nothing():
    points = np.array([[5.0, 0.0], [-1.0, 9.0]])
    assert hypervolume(points, ORIGIN[2]) == 0.0


def test_beyond_the_range_of_a_float_it_saturates():
    points = np.array([[1e308, 1e308], [1.1e308, 0.9e308]])
    reference = np.array([-1e308, -1e308])
    assert hypervolume(points, reference) == LARGEST_HYPERVOLUME
    grown = GrowingHypervolume(reference)
    assert [grown.add(point) for point in points] == [LARGEST_HYPERVOLUME] * 2


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="n x 3"):
        hypervolume(np.ones((2, 2)), ORIGIN[3])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of BoTorch's own imports
@pytest.mark.parametrize("m", [2, 3, 4])
def test_agrees_with_botorch(m):
    torch = pytest.importorskip("torch")
    botorch = pytest.importorskip("botorch.utils.multi_objective.hypervolume")
    random = np.random.default_rng(m)
    for _ in range(5):
        points = random.normal(size=(40, m))
        reference = np.full(m, -0.5)
        theirs = botorch.Hypervolume(torch.tensor(reference))
        front = torch.tensor(points[(points > reference).all(axis=1)])
        assert hypervolume(points, reference) == pytest.approx(theirs.compute(front), rel=1e-12)


@pytest.mark.parametrize("shape", ["random", "all on the front"])
def test_ten_thousand_points_in_two_objectives_take_seconds_at_most(shape):
    random = np.random.default_rng(0)
    points = random.random((10_000, 2))
    if shape == "all on the front":
        angle = points[:, 0] * math.pi / 2
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    grown = GrowingHypervolume(ORIGIN[2])
    started = time.process_time()
    for point in points:
        grown.add(point)
    assert time.process_time() - started < 5
    assert grown.total == pytest.approx(hypervolume(points, ORIGIN[2]))


def test_a_box_overflows_only_if_its_volume_does():
    growing = GrowingHypervolume(np.zeros(3))
    assert growing.add(np.array([1e200, 1e200, 1e-100])) == pytest.approx(1e300)


def test_an_edge_overflows_only_if_the_area_does():
    largest = sys.float_info.max
    growing = GrowingHypervolume(np.array([0.0, -largest]))
    assert growing.add(np.array([0.25, largest])) == pytest.approx(largest / 2)
