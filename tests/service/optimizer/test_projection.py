import numpy as np
import pytest

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from service.optimizer.axes import axes_of
from service.optimizer.projection import legal_arm_near, nearest_legal
from tests.service.optimizer.tricky_spaces import SPACES, choice, float_, int_, space_of


def nearest(space: ParameterSpace, **parameters: object) -> dict[str, object] | None:
    arm = Arm.model_validate({"parameters": parameters})
    moved = nearest_legal(space, axes_of(space), arm)
    return None if moved is None else dict(moved.parameters)


def test_a_legal_arm_stays() -> None:
    space = space_of(float_("a"), int_("k", 0, 9), constraints=("a + k <= 5",))
    assert nearest(space, a=0.5, k=4) == {"a": 0.5, "k": 4}


def test_the_parameter_moves_whose_range_makes_it_cheapest() -> None:
    space = space_of(float_("a", 0, 1), float_("b", 0, 100), constraints=("a + b <= 50",))
    assert nearest(space, a=0.5, b=60.0) == pytest.approx({"a": 0.5, "b": 49.5})


def test_discrete_values_stay_on_their_grids() -> None:
    space = space_of(
        int_("layers", 2, 8),
        choice("width", [32, 64, 128, 256]),
        float_("x", 0, 1, step=0.25),
        constraints=("32*layers + width <= 384", "x + 0.1*layers <= 1"),
    )
    moved = nearest(space, layers=8, width=256, x=1.0)
    assert moved is not None
    assert space.problems_with(moved) == {}  # type: ignore[arg-type]


def test_parameters_that_decide_over_others_stay() -> None:
    space = space_of(
        int_("blocks", 1, 9),
        int_("extra", 1, 9, when={"parameter": "blocks", "values": [9]}),
        constraints=("blocks + extra <= 12",),
    )
    assert nearest(space, blocks=9, extra=9) == {"blocks": 9, "extra": 3}


def test_none_where_nothing_is_legal() -> None:
    space = space_of(int_("k", 0, 9), float_("x"), constraints=("2*k <= 5", "2*k >= 4.5"))
    assert nearest(space, k=1, x=0.0) is None


@pytest.mark.parametrize("name", ["needle", "equality", "integer_equality", "simplex", "linear"])
def test_draws_near_an_arm_are_legal_and_differ(name: str) -> None:
    space = SPACES[name]
    axes = axes_of(space)
    rng = np.random.default_rng(0)
    values = {axis.name: axis.from_unit(0.9) for axis in axes}
    drawn = [legal_arm_near(space, axes, Arm(parameters=values), rng) for _ in range(5)]
    assert all(arm is not None and space.contains(arm) for arm in drawn)
    if any(not axis.levels for axis in axes):
        assert len({arm.signature for arm in drawn if arm is not None}) == 5
