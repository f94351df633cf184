import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.arm import Arm
from service.optimizer.axes import assemble, axes_of, from_units, to_units
from tests.service.optimizer.tricky_spaces import (
    CONDITIONAL,
    SPACES,
    choice,
    float_,
    int_,
    space_of,
)


@pytest.mark.parametrize("name", SPACES)
@given(data=st.data())
def test_every_point_of_the_cube_is_an_arm_and_back(name: str, data: st.DataObject) -> None:
    space = SPACES[name]
    axes = axes_of(space)
    unit = st.floats(0, 1)
    units = data.draw(st.lists(unit, min_size=len(axes), max_size=len(axes)))
    arm = from_units(space, axes, units)
    unconstrained = space.model_copy(update={"constraints": ()})
    assert unconstrained.problems_with(arm.parameters) == {}
    again = from_units(space, axes, to_units(axes, arm))
    assert again.parameters.keys() == arm.parameters.keys()
    for axis in axes:
        if axis.name in arm.parameters:
            value, back = arm.parameters[axis.name], again.parameters[axis.name]
            assert back == (value if axis.levels else pytest.approx(value, rel=1e-9, abs=1e-12))


@pytest.mark.parametrize("name", SPACES)
def test_levels_and_values_are_each_others_inverse(name: str) -> None:
    for axis in axes_of(SPACES[name]):
        for level in range(min(axis.levels, 200)):
            value = axis.at_level(level)
            assert axis.parameter.problem_with(value) is None
            assert axis.level_of(value) == level
            assert axis.from_unit(axis.to_unit(value)) == value


def test_levels_get_equal_shares_of_the_cube() -> None:
    axis = axes_of(space_of(int_("k", 1, 4)))[0]
    assert [axis.from_unit((n + 0.5) / 8) for n in range(8)] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_a_log_scale_gives_equal_shares_to_equal_ratios() -> None:
    rate, size = axes_of(
        space_of(float_("lr", 1e-4, 1, scale="log"), int_("n", 1, 999, scale="log"))
    )
    assert rate.from_unit(0.25) == pytest.approx(1e-3)
    sizes = [size.from_unit((n + 0.5) / 300) for n in range(300)]
    assert sum(s < 10 for s in sizes) == 100
    assert sum(s >= 100 for s in sizes) == 100


def test_the_last_step_may_lie_short_of_high() -> None:
    axis = axes_of(space_of(float_("x", 0.1, 0.75, step=0.1)))[0]
    assert axis.levels == 7
    assert axis.from_unit(1.0) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("parameter", "spacing"),
    [
        (int_("a", -3, 9, step=4), (-3.0, 4.0)),
        (float_("a", 1, 2, step=0.25), (1.0, 0.25)),
        (choice("a", [8, 16, 24]), (8.0, 8.0)),
        (choice("a", [8, 16, 32]), None),
        (choice("a", [8, 24, 16]), None),
        (choice("a", ["8", "16"], ordered=True), None),
        (float_("a"), None),
    ],
)
def test_spacing(parameter: dict[str, object], spacing: tuple[float, float] | None) -> None:
    assert axes_of(space_of(parameter))[0].spacing == spacing


def test_an_assembled_arm_has_fixed_values_and_nothing_inactive() -> None:
    values = {
        "operator": "conv",
        "kernel": 7,
        "heads": 2,
        "rotary": True,
        "base": 1e4,
        "dropout": 0,
    }
    arm = assemble(CONDITIONAL, values)
    expected = {"operator": "conv", "kernel": 7, "dilation": 2, "dropout": 0.0}
    assert arm == Arm(parameters=expected)
    arm = assemble(CONDITIONAL, {**values, "operator": "none"})
    assert set(arm.parameters) == {"operator", "dropout"}
