"""The way of an arm to Ax's coordinates and back, and which constraints Ax is told."""

import warnings
from importlib import import_module

import pytest

from search_spaces.parameter_space import ParameterSpace
from service.optimizer.sobol import new_arms
from tests.service.optimizer.tricky_spaces import SPACES, choice, float_, int_, space_of

with warnings.catch_warnings():  # Ax's imports warn of torch's deprecations
    warnings.simplefilter("ignore")
    AxSpace = import_module("service.optimizer.ax_space").AxSpace


@pytest.mark.parametrize("name", SPACES)
def test_an_arm_comes_back_unchanged(name: str) -> None:
    space = SPACES[name]
    ax_space = AxSpace(space)
    for arm in new_arms(space, (), 12, seed=0, position=0):
        coordinates = ax_space.encode(arm)
        assert ax_space.search_space.check_membership(coordinates)
        back = ax_space.decode(coordinates)
        assert back.parameters.keys() == arm.parameters.keys()
        for key, value in back.parameters.items():
            exact = not isinstance(value, float)
            assert value == (arm.parameters[key] if exact else pytest.approx(arm.parameters[key]))


def constraints_told(space: ParameterSpace) -> list[tuple[dict[str, float], float]]:
    return [
        (constraint.constraint_dict, constraint.bound)
        for constraint in AxSpace(space).search_space.parameter_constraints
    ]


def test_constraints_are_told_in_coordinates() -> None:
    space = space_of(
        {"type": "fixed", "name": "base", "value": 10},
        int_("layers", 2, 8, step=2),
        choice("width", [16, 32, 48]),
        constraints=("base + 3*layers + width <= 100",),
    )
    ((terms, bound),) = constraints_told(space)
    assert terms == {"x0": 6.0, "x1": 16.0}
    assert bound == pytest.approx(100 - 10 - 6 - 16, abs=1e-3)


def test_the_bound_told_is_a_hair_loose_so_that_arms_on_it_count() -> None:
    ((terms, bound),) = constraints_told(
        space_of(float_("a", 0, 2), float_("b"), constraints=("a - b <= 1",))
    )
    assert terms == {"x0": 1.0, "x1": -1.0}
    assert 1 < bound < 1 + 1e-5


def test_constraints_that_are_not_linear_in_coordinates_are_kept_from_ax() -> None:
    uneven = space_of(choice("w", [32, 64, 256]), float_("x"), constraints=("w + x <= 100",))
    assert constraints_told(uneven) == []
    assert constraints_told(SPACES["conditional_constraint"]) == []
