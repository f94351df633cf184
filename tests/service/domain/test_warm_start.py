import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    Condition,
    FixedParameter,
    FloatParameter,
    IntParameter,
)
from service.domain.measurement import Measurement
from service.domain.warm_start import (
    WarmStart,
    fillable,
    match_metrics,
    translate_arm,
    translate_measurements,
    units_agree,
)
from tests.search_spaces.sampling import sample_arm
from tests.search_spaces.strategies import spaces

WIDTH = IntParameter(name="width", low=1, high=64)
RATE = FloatParameter(name="rate", low=1e-4, high=1.0, scale="log")
GATED = BoolParameter(name="gated")
GATE = FloatParameter(name="gate", low=0, high=1, when=Condition(parameter="gated", values=(True,)))


def space(*parameters, constraints=()):
    return ParameterSpace(parameters=parameters, constraints=constraints)


def arm(**parameters):
    return Arm(parameters=parameters)


def test_shared_parameters_are_kept_and_foreign_ones_ignored():
    translated = translate_arm(arm(width=8, rate=0.5, cells=3), space(WIDTH, RATE), {})
    assert translated == arm(width=8, rate=0.5)


def test_new_parameters_are_filled_where_their_value_is_known():
    assert translate_arm(arm(width=8), space(WIDTH, RATE), {"rate": 0.25}) == arm(
        width=8, rate=0.25
    )
    assert translate_arm(arm(width=8), space(WIDTH, RATE), {}) is None


def test_a_new_fixed_parameter_takes_its_only_value():
    layers = FixedParameter(name="layers", value=4)
    assert translate_arm(arm(width=8), space(WIDTH, layers), {}) == arm(width=8, layers=4)
    assert translate_arm(arm(width=8, layers=3), space(WIDTH, layers), {}) is None


@pytest.mark.parametrize("width", [0, 65, 8.5, "8"])
def test_a_value_outside_the_new_range_leaves_the_arm_out(width):
    assert translate_arm(arm(width=width), space(WIDTH), {}) is None


def test_an_off_grid_or_unlisted_value_leaves_the_arm_out():
    even = IntParameter(name="width", low=2, high=64, step=2)
    kind = ChoiceParameter(name="kind", values=("conv", "attention"))
    assert translate_arm(arm(width=3), space(even), {}) is None
    assert translate_arm(arm(kind="mixed"), space(kind), {}) is None


def test_a_broken_constraint_leaves_the_arm_out():
    depth = IntParameter(name="depth", low=1, high=12)
    tight = space(WIDTH, depth, constraints=("8*depth + width <= 96",))
    assert translate_arm(arm(width=64, depth=12), tight, {}) is None
    assert translate_arm(arm(width=32, depth=4), tight, {}) == arm(width=32, depth=4)


def test_conditions_of_the_new_space_decide_what_is_active():
    conditional = space(GATED, GATE)
    assert translate_arm(arm(gated=False, gate=0.5), conditional, {}) == arm(gated=False)
    assert translate_arm(arm(gated=True), conditional, {}) is None
    assert translate_arm(arm(gated=True), conditional, {"gate": 0.1}) == arm(gated=True, gate=0.1)


def test_numbers_get_the_spelling_of_the_new_space():
    fine = FloatParameter(name="width", low=0, high=100)
    assert repr(translate_arm(arm(width=8), space(fine), {})) == repr(arm(width=8.0))


@given(spaces(), st.randoms(use_true_random=False))
def test_an_arm_of_the_same_space_is_itself(same, random):
    one = sample_arm(same, random)
    assert translate_arm(one, same, {}) == same.canonical(one.parameters)


@given(spaces(), st.randoms(use_true_random=False))
def test_whatever_comes_out_is_legal_and_keeps_what_is_shared(now, random):
    one, fills = sample_arm(now, random), sample_arm(now, random)
    kept = {name: value for name, value in one.parameters.items() if random.random() < 0.7}
    earlier = Arm(parameters={**kept, "only_there": 1})
    translated = translate_arm(earlier, now, fills.parameters)
    if translated is None:  # a value was needed that neither has
        known = kept.keys() | fills.parameters.keys()
        assert any(parameter.name not in known for parameter in now.parameters)
        return
    assert now.contains(translated)
    for name, value in translated.parameters.items():
        assert value == kept.get(name, fills.parameters.get(name, value))


def test_only_what_an_earlier_arm_may_lack_is_filled():
    now = space(WIDTH, RATE, GATED, GATE)
    values = {"width": 8, "rate": 0.5, "gated": True, "gate": 0.5}
    assert fillable(now, space(WIDTH, GATED, GATE), values) == {"rate": 0.5, "gate": 0.5}
    assert fillable(now, space(WIDTH, GATED), values | {"rate": 7.0}) == {"gate": 0.5}


def test_metrics_go_by_name_then_by_device_then_by_hand():
    ours = {"error": "", "latency_ms@phone": "ms"}
    assert match_metrics({"error": "", "size": "B"}, ours, {}) == {"error": "error"}
    assert match_metrics({"latency_ms@laptop": "ms"}, ours, {}) == {
        "latency_ms@laptop": "latency_ms@phone"
    }
    assert match_metrics({"latency_ms": ""}, ours, {}) == {"latency_ms": "latency_ms@phone"}
    assert match_metrics({"wer": "", "error": ""}, ours, {"wer": "error"}) == {"wer": "error"}


def test_what_is_ambiguous_or_in_another_unit_is_not_guessed():
    ours = {"latency_ms@phone": "ms"}
    assert match_metrics({"latency_ms@a": "ms", "latency_ms@b": "ms"}, ours, {}) == {}
    assert match_metrics({"latency_ms@a": "s"}, ours, {}) == {}


@given(
    st.dictionaries(st.sampled_from(["a", "b", "a@x", "a@y", "b@x"]), st.sampled_from(["", "ms"])),
    st.dictionaries(st.sampled_from(["a", "b", "a@x", "a@y", "c"]), st.sampled_from(["", "ms"])),
)
def test_no_metric_stands_for_two(theirs, ours):
    matched = match_metrics(theirs, ours, {})
    assert set(matched) <= set(theirs)
    assert set(matched.values()) <= set(ours)
    assert len(set(matched.values())) == len(matched)
    for name in set(theirs) & set(ours):
        assert matched[name] == name


def test_measurements_come_by_our_names_alone():
    measured = {"wer": Measurement(mean=0.1, sem=0.01), "size": Measurement(mean=5)}
    assert translate_measurements(measured, {"wer": "error"}) == {"error": measured["wer"]}


def test_unknown_units_agree_with_any():
    assert units_agree("", "ms")
    assert units_agree("ms", "ms")
    assert not units_agree("s", "ms")


def test_a_source_is_also_written_as_its_name():
    assert WarmStart.model_validate("first-search") == WarmStart(experiment="first-search")
    with pytest.raises(ValidationError):
        WarmStart.model_validate({"experiment": "a", "metric": {}})
