import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    FixedParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    same_value,
)
from tests.search_spaces.sampling import sample_value
from tests.search_spaces.strategies import parameters

values = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))


@given(parameters(), st.integers())
def test_what_it_gives_it_allows(parameter, seed):
    value = sample_value(parameter, Random(seed))
    assert parameter.problem_with(value) is None


@given(parameters(), st.integers())
def test_the_one_spelling_is_allowed_and_stays(parameter, seed):
    value = parameter.canonical(sample_value(parameter, Random(seed)))
    assert parameter.problem_with(value) is None
    assert parameter.canonical(value) == value
    assert type(parameter.canonical(value)) is type(value)


@given(parameters(), values)
def test_any_value_is_either_allowed_or_told_why_not(parameter, value):
    problem = parameter.problem_with(value)
    if problem is None:
        assert same_value(parameter.canonical(value), value)
    else:
        assert repr(value) in problem


@given(parameters())
def test_survives_the_wire(parameter):
    adapter = TypeAdapter(Parameter)
    assert adapter.validate_json(adapter.dump_json(parameter)) == parameter


@given(values)
def test_a_value_is_the_same_as_itself(value):
    assert same_value(value, value)


def test_four_values_that_python_takes_for_one():
    assert not same_value(True, 1)
    assert not same_value(False, 0.0)
    assert same_value(1, 1.0)
    assert not same_value(1, "1")
    assert ChoiceParameter(name="x", values=(0, 1)).problem_with(True) is not None
    assert ChoiceParameter(name="x", values=(0, 1)).problem_with(1.0) is None
    assert BoolParameter(name="x").problem_with(1) is not None
    assert FixedParameter(name="x", value=1).problem_with(True) is not None
    assert IntParameter(name="x", low=0, high=1).problem_with(True) is not None
    assert FloatParameter(name="x", low=0, high=1).problem_with(True) is not None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308 * 10])
@pytest.mark.parametrize(
    "parameter",
    [
        FloatParameter(name="x", low=0, high=1),
        FloatParameter(name="x", low=0, high=1, step=0.25),
        FloatParameter(name="x", low=1e-3, high=1, scale="log"),
        IntParameter(name="x", low=0, high=8, step=2),
        ChoiceParameter(name="x", values=(0, 1)),
    ],
)
def test_refuses_what_is_not_finite(parameter, value):
    assert parameter.problem_with(value) is not None


def test_a_step_of_a_tenth_allows_what_floats_make_of_it():
    parameter = FloatParameter(name="x", low=0.1, high=0.9, step=0.1)
    assert parameter.problem_with(0.1 + 0.2) is None
    assert parameter.problem_with(0.35) is not None
    assert parameter.problem_with(0.95) is not None


def test_bounds_belong_to_the_range():
    parameter = IntParameter(name="x", low=2, high=8, step=3)
    assert [value for value in range(12) if parameter.problem_with(value) is None] == [2, 5, 8]
    assert parameter.problem_with(5.0) is None
    assert parameter.canonical(5.0) == 5
    assert isinstance(parameter.canonical(5.0), int)
    assert parameter.problem_with(5.5) is not None
    assert isinstance(FloatParameter(name="x", low=0, high=1).canonical(1), float)


def test_numbers_in_rising_order_are_ordered_unless_told():
    assert ChoiceParameter(name="x", values=(1, 2, 4)).is_ordered
    assert not ChoiceParameter(name="x", values=(1, 4, 2)).is_ordered
    assert not ChoiceParameter(name="x", values=("a", "b")).is_ordered
    assert ChoiceParameter(name="x", values=("s", "m", "l"), ordered=True).is_ordered
    assert not ChoiceParameter(name="x", values=(1, 2, 4), ordered=False).is_ordered


@pytest.mark.parametrize(
    ("given_fields", "told"),
    [
        ({"type": "float", "low": 1, "high": 1}, "must be below high"),
        ({"type": "float", "low": 2, "high": 1}, "must be below high"),
        ({"type": "float", "low": 0, "high": 1, "scale": "log"}, "needs low > 0"),
        ({"type": "float", "low": 1, "high": 2, "scale": "log", "step": 0.1}, "exclude each other"),
        ({"type": "float", "low": 0, "high": 1, "step": 2}, "exceeds high - low"),
        ({"type": "float", "low": -1.5e308, "high": 1.5e308}, "wider than a double"),
        ({"type": "float", "low": 0, "high": "inf"}, "finite"),
        ({"type": "int", "low": 3, "high": 3}, "must be below high"),
        ({"type": "int", "low": 0, "high": 9, "step": 2}, "the last point is 8"),
        ({"type": "int", "low": 0, "high": 8, "scale": "log"}, "needs low > 0"),
        ({"type": "int", "low": 1, "high": 9, "scale": "log", "step": 2}, "exclude each other"),
        ({"type": "int", "low": 0, "high": 2**60}, "less than or equal to"),
        ({"type": "choice", "values": [1]}, "at least 2"),
        ({"type": "choice", "values": [1, "a"]}, "of one kind"),
        ({"type": "choice", "values": [True, 1]}, "of one kind"),
        ({"type": "choice", "values": ["a", "b", "a"]}, "repeat a"),
        ({"type": "bool", "low": 0}, "Extra inputs"),
        ({"type": "complex"}, "complex"),
    ],
)
def test_refuses_a_contradiction_and_says_which(given_fields, told):
    with pytest.raises(ValidationError, match=told):
        TypeAdapter(Parameter).validate_python({"name": "x", **given_fields})


@pytest.mark.parametrize("name", ["", "1x", "a b", "a/b", "ü", "x" * 201])
def test_refuses_a_name_that_no_address_can_carry(name):
    with pytest.raises(ValidationError):
        BoolParameter(name=name)
