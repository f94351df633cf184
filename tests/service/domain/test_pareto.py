import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.domain.measurement import Measurement
from service.domain.objective import Objective
from service.domain.pareto import is_non_dominated, oriented

# A coarse grid makes ties and equal points common.
POINTS = st.integers(1, 4).flatmap(
    lambda m: st.integers(0, 25).flatmap(
        lambda n: arrays(np.float64, (n, m), elements=st.integers(-4, 4).map(float))
    )
)


def brute_force(points):
    def dominates(p, q):
        return all(a >= b for a, b in zip(p, q, strict=True)) and any(
            a > b for a, b in zip(p, q, strict=True)
        )

    return [not any(dominates(p, q) for p in points) for q in points]


@given(POINTS)
def test_front_equals_the_brute_force_front(points):
    assert is_non_dominated(points).tolist() == brute_force(points.tolist())


@given(POINTS, st.randoms(use_true_random=False))
def test_order_of_the_points_does_not_matter(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    assert is_non_dominated(points[order]).tolist() == is_non_dominated(points)[order].tolist()


@given(POINTS)
def test_front_of_the_front_is_the_front(points):
    front = points[is_non_dominated(points)]
    assert is_non_dominated(front).all()


@given(POINTS)
def test_every_point_off_the_front_is_beaten_by_one_on_it(points):
    on_front = is_non_dominated(points)
    front = points[on_front]
    for beaten in points[~on_front]:
        assert (front >= beaten).all(axis=1).any()


def test_equal_points_leave_each_other_standing():
    points = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 2.0]])
    assert is_non_dominated(points).tolist() == [True, True, False]


def test_no_points_give_no_front():
    assert is_non_dominated(np.empty((0, 3))).tolist() == []


def test_huge_coordinates_are_compared_exactly():
    points = np.array([[1e308, -1e308], [-1e308, 1e308], [-1.1e308, 1e308]])
    assert is_non_dominated(points).tolist() == [True, True, False]


def test_oriented_turns_minimised_metrics_round():
    objectives = (
        Objective(metric="accuracy", goal="maximize"),
        Objective(metric="latency_ms", goal="minimize"),
    )
    measured = {"latency_ms": Measurement(mean=3), "accuracy": Measurement(mean=0.9)}
    assert oriented(objectives, [measured]).tolist() == [[0.9, -3.0]]


def test_oriented_keeps_the_width_without_trials():
    objectives = (Objective(metric="a", goal="maximize"), Objective(metric="b", goal="minimize"))
    assert oriented(objectives, []).shape == (0, 2)


def test_oriented_refuses_a_missing_objective():
    with pytest.raises(KeyError, match="latency_ms"):
        oriented((Objective(metric="latency_ms", goal="minimize"),), [{}])
