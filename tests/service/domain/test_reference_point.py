import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.domain.hypervolume import hypervolume
from service.domain.objective import Objective
from service.domain.pareto import is_non_dominated
from service.domain.reference_point import (
    choose_reference_point,
    in_own_units,
    infer_reference_point,
)

MINIMISED = (Objective(metric="error", goal="minimize"), Objective(metric="ms", goal="minimize"))
POINTS = st.integers(1, 4).flatmap(
    lambda m: st.integers(1, 20).flatmap(
        lambda n: arrays(np.float64, (n, m), elements=st.integers(-9, 9).map(float))
    )
)


def test_lies_a_tenth_of_the_range_behind_the_nadir_of_the_front():
    points = np.array([[10.0, 0.0], [0.0, 5.0], [-90.0, -90.0]])  # the last is dominated
    assert infer_reference_point(points).tolist() == pytest.approx([-1.0, -0.5])


def test_one_point_lies_a_tenth_of_its_size_before_it():
    assert infer_reference_point(np.array([[-20.0, 0.5]])).tolist() == pytest.approx([-22, 0.45])


def test_a_point_at_zero_still_has_room_behind_it():
    assert infer_reference_point(np.array([[0.0, 0.0]])).tolist() == pytest.approx([-0.1, -0.1])


def test_a_single_objective_looks_at_all_points():
    assert infer_reference_point(np.array([[5.0], [1.0], [3.0]])).tolist() == pytest.approx([0.6])


@given(POINTS)
def test_every_point_of_the_front_is_better_and_adds_volume(points):
    reference = infer_reference_point(points)
    front = points[is_non_dominated(points)]
    assert (front > reference).all()
    assert hypervolume(front, reference) > 0


def test_stays_finite_at_the_edge_of_the_floats():
    largest = sys.float_info.max
    reference = infer_reference_point(np.array([[largest, -largest], [-largest, largest]]))
    assert np.isfinite(reference).all()


def test_thresholds_stand_and_the_rest_is_inferred():
    objectives = (
        Objective(metric="error", goal="minimize", threshold=0.5),
        Objective(metric="ms", goal="minimize"),
    )
    points = np.array([[-0.1, -9.0], [-0.3, -4.0]])
    reference = choose_reference_point(objectives, points)
    named = in_own_units(objectives, reference)
    assert named.values == pytest.approx({"error": 0.5, "ms": 9.5})
    assert named.inferred == ("ms",)


def test_thresholds_need_no_trial():
    objectives = (
        Objective(metric="accuracy", goal="maximize", threshold=0.7),
        Objective(metric="ms", goal="minimize", threshold=20),
    )
    reference = choose_reference_point(objectives, np.empty((0, 2)))
    named = in_own_units(objectives, reference)
    assert named.values == {"accuracy": 0.7, "ms": 20.0}
    assert named.inferred == ()


def test_nothing_can_be_inferred_from_no_trial():
    assert choose_reference_point(MINIMISED, np.empty((0, 2))) is None


def test_zero_is_told_without_a_minus_sign():
    named = in_own_units(MINIMISED, np.array([0.0, -0.0]))
    assert str(named.values["error"]) == "0.0"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of BoTorch's own imports
@pytest.mark.parametrize("m", [2, 3, 4])
def test_agrees_with_botorch(m):
    torch = pytest.importorskip("torch")
    botorch = pytest.importorskip("botorch.utils.multi_objective.hypervolume")
    random = np.random.default_rng(m)
    for count in (1, 2, 40):
        points = random.normal(size=(count, m))
        front = torch.tensor(points[is_non_dominated(points)])
        theirs = botorch.infer_reference_point(front)
        assert infer_reference_point(points) == pytest.approx(theirs.numpy())
