from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.hypervolume import hypervolume
from service.plots.staircase import dominated_region, staircase

SIGNS = st.tuples(st.sampled_from([-1, 1]), st.sampled_from([-1, 1]))
POINTS = st.lists(st.tuples(*[st.integers(-5, 5).map(float)] * 2), max_size=12)


def area(polygon):
    """By the shoelace formula, the sign of the winding left out."""
    turns = zip(polygon, [*polygon[1:], *polygon[:1]], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in turns)) / 2


@given(POINTS, SIGNS)
def test_the_region_s_area_is_the_hypervolume(points, signs):
    reference = (-2.0 * signs[0], -3.0 * signs[1])
    region = dominated_region(points, signs, reference)
    turned = np.array(points).reshape(-1, 2) * signs
    expected = hypervolume(turned, np.array(reference) * signs)
    assert area(region) == pytest.approx(expected)
    assert bool(region) == (expected > 0)


@given(POINTS, SIGNS)
def test_every_step_is_level_or_upright_and_trades(points, signs):
    corners = staircase(points, signs, None)
    for (x0, y0), (x1, y1) in pairwise(corners):
        assert x0 == x1 or y0 == y1
        assert (x1 - x0) * signs[0] >= 0
        assert (y1 - y0) * signs[1] <= 0


def test_minimised_points_step_along_their_worse_side():
    points = [(3.0, 1.0), (1.0, 4.0), (2.0, 2.0), (5.0, 5.0)]
    assert staircase(points, (-1, -1), None) == [(3, 1), (3, 2), (2, 2), (2, 4), (1, 4)]


def test_the_ends_reach_the_reference_point():
    corners = staircase([(1.0, 4.0), (3.0, 1.0)], (-1, -1), (6.0, 9.0))
    assert corners[0] == (6, 1)
    assert corners[-1] == (1, 9)


def test_nothing_gives_nothing():
    assert staircase([], (1, 1), (0.0, 0.0)) == []
    assert dominated_region([(1.0, 1.0)], (1, 1), None) == []
