from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.domain.stop_rules import (
    ExpectedGainRule,
    NoGainRule,
    StopRules,
    expected_gain_verdict,
    no_gain_verdict,
)

GROWTH = st.lists(st.floats(0, 1e6), max_size=40).map(lambda gains: list(accumulate(gains)))
RULES = st.builds(NoGainRule, trials=st.integers(1, 20), share=st.floats(0, 0.5))


def test_a_search_that_stands_still_is_ended_and_told_so():
    verdict = no_gain_verdict(NoGainRule(trials=3), [1.0, 2.0, 2.0, 2.0, 2.0], 1)
    assert verdict is not None
    assert verdict.rule == "no_gain"
    assert verdict.reason == "The last 3 trials to complete added nothing to the hypervolume."


def test_a_gain_within_the_share_counts_as_none_and_is_told():
    rule = NoGainRule(trials=2, share=0.01)
    assert no_gain_verdict(rule, [100.0, 100.0, 101.5], 1) is None
    verdict = no_gain_verdict(rule, [100.0, 100.0, 100.5], 1)
    assert verdict is not None
    assert "raised the hypervolume by 0.498 %, no more than 1 %." in verdict.reason


def test_a_single_trial_is_named_in_the_singular():
    verdict = no_gain_verdict(NoGainRule(trials=1), [1.0, 1.0], 0)
    assert verdict is not None
    assert verdict.reason.startswith("The last trial to complete")


@given(RULES, GROWTH, st.integers(0, 20))
def test_no_verdict_before_the_initial_trials_and_the_window(rule, hypervolumes, initial):
    window = hypervolumes[: initial + rule.trials - 1]
    assert no_gain_verdict(rule, window, initial) is None


@given(RULES, st.integers(0, 60), st.integers(0, 20))
def test_a_search_that_has_found_nothing_yet_goes_on(rule, completed, initial):
    assert no_gain_verdict(rule, [0.0] * completed, initial) is None


@given(RULES, GROWTH, st.integers(0, 20))
def test_the_verdict_is_the_rule_s_arithmetic(rule, hypervolumes, initial):
    judged = len(hypervolumes) >= rule.trials + max(initial, 1) and hypervolumes[-1] > 0
    gain = hypervolumes[-1] - hypervolumes[-1 - rule.trials] if judged else None
    fires = gain is not None and gain <= rule.share * hypervolumes[-1]
    assert (no_gain_verdict(rule, hypervolumes, initial) is not None) == fires


@given(RULES, GROWTH, st.integers(0, 5), st.integers(-60, 60))
def test_the_unit_of_the_hypervolume_has_no_say(rule, hypervolumes, initial, exponent):
    scaled = [2.0**exponent * value for value in hypervolumes]
    one = no_gain_verdict(rule, hypervolumes, initial)
    other = no_gain_verdict(rule, scaled, initial)
    assert (one is None) == (other is None)


@given(GROWTH, st.integers(1, 20), st.floats(0, 0.4), st.floats(0, 0.5), st.integers(0, 5))
def test_a_larger_share_ends_no_later(hypervolumes, trials, share, more, initial):
    strict = NoGainRule(trials=trials, share=share)
    lax = NoGainRule(trials=trials, share=min(share + more, 0.9))
    if no_gain_verdict(strict, hypervolumes, initial) is not None:
        assert no_gain_verdict(lax, hypervolumes, initial) is not None


@given(st.floats(1e-6, 0.9), st.floats(0, 2), st.integers(0, 50), st.integers(0, 50))
def test_too_little_expected_ends_the_search_after_the_initial_trials(below, gain, seen, initial):
    verdict = expected_gain_verdict(ExpectedGainRule(below=below), gain, seen, initial)
    assert (verdict is not None) == (gain < below and seen >= initial)


def test_what_cannot_be_told_ends_nothing():
    assert expected_gain_verdict(ExpectedGainRule(below=0.5), None, 99, 4) is None


def test_the_expected_gain_is_told_with_its_bound():
    verdict = expected_gain_verdict(ExpectedGainRule(below=0.01), 0.00123, 30, 12)
    assert verdict is not None
    assert verdict.reason == (
        "The model expects the best next arm to raise the hypervolume by 0.123 %, less than 1 %."
    )


def test_rules_are_also_written_as_bare_numbers():
    assert StopRules.model_validate({"no_gain": 20, "expected_gain": 0.01}) == StopRules(
        no_gain=NoGainRule(trials=20), expected_gain=ExpectedGainRule(below=0.01)
    )


@pytest.mark.parametrize(
    "given",
    [
        {"no_gain": 0},
        {"no_gain": True},
        {"no_gain": {"trials": 5, "share": 1.0}},
        {"expected_gain": 0},
        {"expected_gain": 1.0},
        {"patience": 3},
    ],
)
def test_rules_that_make_no_sense_are_refused(given):
    with pytest.raises(ValidationError):
        StopRules.model_validate(given)


def test_a_rule_can_be_switched_off():
    rules = StopRules.model_validate({"no_gain": 20, "expected_gain": 0.01})
    assert rules.without(["no_gain"]) == StopRules.model_validate({"expected_gain": 0.01})
    assert rules.without(["no_gain", "expected_gain"]).is_empty
    assert not rules.without([]).is_empty
