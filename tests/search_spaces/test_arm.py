import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from search_spaces.arm import Arm

values = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8),
)
assignments = st.dictionaries(st.sampled_from("abcdefgh"), values, max_size=6)


@given(assignments, st.randoms(use_true_random=False))
def test_the_signature_does_not_see_the_order(given_values, rng):
    items = list(given_values.items())
    rng.shuffle(items)
    one, other = Arm(parameters=given_values), Arm(parameters=dict(items))
    assert one == other
    assert one.signature == other.signature


@given(assignments)
def test_the_signature_survives_the_wire(given_values):
    arm = Arm(parameters=given_values)
    again = Arm.model_validate_json(arm.model_dump_json())
    assert again.signature == arm.signature
    assert len(arm.signature) == 32


def test_the_signature_tells_values_of_other_kinds_apart():
    kinds = [True, 1, 1.0, "1", "true"]
    assert len({Arm(parameters={"x": value}).signature for value in kinds}) == len(kinds)


def test_keeps_the_kind_of_a_value():
    arm = Arm.model_validate_json('{"parameters": {"a": true, "b": 1, "c": 1.0, "d": "1"}}')
    assert [type(value) for value in arm.parameters.values()] == [bool, int, float, str]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, [1], {"a": 1}, "a\x00b"])
def test_refuses_what_is_no_value(value):
    with pytest.raises(ValidationError):
        Arm(parameters={"x": value})


def test_many_arms_have_many_signatures():
    rng = random.Random(0)
    arms = {
        Arm(parameters={"x": rng.random(), "n": rng.randrange(9)}).signature for _ in range(999)
    }
    assert len(arms) == 999
