import math

import pytest

from service.domain.errors import InvalidRequest, UnknownMetric
from service.domain.measurement import Measurement
from service.domain.objective import OutcomeConstraint
from service.domain.pick import pick_trial, probability_within
from tests.service.made_trials import make_experiment, make_trial, trials_at

ACCURATE_AND_FAST = (
    {"metric": "accuracy", "goal": "maximize"},
    {"metric": "latency_ms", "goal": "minimize"},
)


def numbers(options):
    return [option.point.trial_number for option in options]


def measured(number, error, latency, error_sem=0.009, latency_sem=0.8, **more):
    return make_trial(
        number,
        {
            "frame_error": {"mean": error, "sem": error_sem},
            "latency_ms": {"mean": latency, "sem": latency_sem},
        }
        | more,
    )


TRIALS = [measured(3, 0.31, 2.0), measured(17, 0.182, 3.1), measured(21, 0.15, 6.0)]


def test_the_best_within_the_budget_is_picked_and_told():
    pick = pick_trial(make_experiment(), TRIALS, {"latency_ms": 5})
    assert pick.best.point.trial_number == 17
    assert pick.best.point.on_front
    assert numbers(pick.alternatives) == [3]
    assert numbers(pick.nearest_misses) == [21]
    assert pick.explanation == (
        "Trial 17 has the lowest frame_error, 0.182 ± 0.009, "
        "with latency_ms 3.1 ± 0.8 ms (budget 5; p = 0.99)."
    )


def test_the_probability_comes_from_the_noise():
    pick = pick_trial(make_experiment(), TRIALS, {"latency_ms": 5})
    expected = 0.5 * math.erfc(-(5 - 3.1) / 0.8 / math.sqrt(2))
    assert pick.best.probability_within == {"latency_ms": pytest.approx(expected)}
    assert pick.nearest_misses[0].probability_within["latency_ms"] == pytest.approx(
        0.1056, abs=1e-4
    )


@pytest.mark.parametrize(
    ("op", "mean", "sem", "probability"),
    [
        ("<=", 5, 1, 0.5),
        (">=", 5, 1, 0.5),
        ("<=", 4, 1, 0.8413),
        (">=", 4, 1, 0.1587),
        ("<=", 5, None, 1.0),
        ("<=", 5.01, None, 0.0),
        (">=", 5.01, 0.0, 1.0),
        ("<=", -1e308, 1e-300, 1.0),
        ("<=", 1e308, 1e-300, 0.0),
    ],
)
def test_probability_of_a_normal_error(op, mean, sem, probability):
    bound = OutcomeConstraint(metric="m", op=op, bound=5)
    assert probability_within(Measurement(mean=mean, sem=sem), bound) == pytest.approx(
        probability, abs=1e-4
    )


def test_unknown_noise_is_said():
    trials = [measured(0, 0.2, 3, latency_sem=None)]
    pick = pick_trial(make_experiment(), trials, {"latency_ms": 5})
    assert pick.best.probability_within == {"latency_ms": 1.0}
    assert pick.explanation == (
        "Trial 0 has the lowest frame_error, 0.200 ± 0.009, with latency_ms 3 ms (budget 5). "
        "The noise of latency_ms is unknown and taken as none."
    )


def test_a_maximised_metric_is_budgeted_from_below():
    trials = trials_at((0.9, 8), (0.8, 2), (0.7, 1), metrics=("accuracy", "latency_ms"))
    pick = pick_trial(make_experiment(ACCURATE_AND_FAST), trials, {"accuracy": 0.75})
    assert pick.best.point.trial_number == 1
    assert numbers(pick.alternatives) == [0]
    assert numbers(pick.nearest_misses) == [2]
    assert "lowest latency_ms, 2 ms, with accuracy 0.8 (budget 0.75)" in pick.explanation


def test_without_a_budget_the_first_objective_decides():
    trials = trials_at((0.7, 1), (0.9, 8), metrics=("accuracy", "latency_ms"))
    pick = pick_trial(make_experiment(ACCURATE_AND_FAST), trials, {})
    assert pick.best.point.trial_number == 1
    assert pick.nearest_misses == ()
    assert pick.explanation == "Trial 1 has the highest accuracy, 0.9."


def test_with_every_objective_budgeted_the_first_decides():
    trials = trials_at((0.3, 1), (0.1, 4), (0.2, 3))
    pick = pick_trial(make_experiment(), trials, {"latency_ms": 5, "frame_error": 0.5})
    assert pick.best.point.trial_number == 1


def test_a_budget_may_be_on_a_metric_that_is_no_objective():
    small = {"file_size_bytes": 100}
    large = {"file_size_bytes": 5_000}
    trials = [measured(0, 0.1, 3, **large), measured(1, 0.2, 3, **small), measured(2, 0.3, 2)]
    pick = pick_trial(make_experiment(), trials, {"file_size_bytes": 1_000})
    assert pick.best.point.trial_number == 1
    assert pick.alternatives == ()  # trial 2 was not measured: not known to be within
    assert numbers(pick.nearest_misses) == [0]


def test_ties_go_to_the_other_objective_then_to_the_earlier_trial():
    trials = trials_at((0.2, 4), (0.2, 3), (0.2, 3))
    pick = pick_trial(make_experiment(), trials, {})
    assert numbers([pick.best, *pick.alternatives]) == [1, 2, 0]


def test_when_nothing_fits_the_nearest_is_told():
    pick = pick_trial(make_experiment(), TRIALS, {"latency_ms": 1})
    assert pick.best is None
    assert pick.alternatives == ()
    assert numbers(pick.nearest_misses) == [3, 17, 21]
    assert pick.explanation == (
        "No feasible trial has latency_ms of at most 1 ms; the smallest is 2.0 ± 0.8 ms "
        "(trial 3, with frame_error 0.310 ± 0.009)."
    )


def test_when_a_lower_bound_is_out_of_reach_the_largest_is_told():
    trials = trials_at((0.9, 8), (0.8, 2), metrics=("accuracy", "latency_ms"))
    pick = pick_trial(make_experiment(ACCURATE_AND_FAST), trials, {"accuracy": 0.95})
    assert pick.explanation == (
        "No feasible trial has accuracy of at least 0.95; the largest is 0.9 "
        "(trial 0, with latency_ms 8 ms)."
    )


def test_budgets_that_exclude_each_other_are_told_so():
    trials = trials_at((0.1, 9), (0.5, 1))
    pick = pick_trial(make_experiment(), trials, {"latency_ms": 2, "frame_error": 0.2})
    assert pick.best is None
    assert numbers(pick.nearest_misses) == [1, 0]
    assert pick.explanation == (
        "Each budget is met by some feasible trial, but no trial meets all of them: nearest is "
        "trial 1, with latency_ms 1 ms (budget 2) and frame_error 0.5 (budget 0.2)."
    )


def test_a_metric_that_nobody_measured_is_told():
    pick = pick_trial(make_experiment(), trials_at((0.1, 9)), {"file_size_bytes": 10})
    assert pick.best is None
    assert pick.explanation == "No feasible trial has a measurement of file_size_bytes."


def test_trials_outside_the_constraints_are_never_picked():
    experiment = make_experiment(outcome_constraints=["latency_ms <= 4"])
    pick = pick_trial(experiment, TRIALS, {})
    assert pick.best.point.trial_number == 17
    assert numbers(pick.nearest_misses) == []


def test_before_any_trial_has_completed():
    pick = pick_trial(make_experiment(), [], {"latency_ms": 5})
    assert pick.best is None
    assert pick.explanation == "No trial has completed within the constraints yet."


def test_options_are_bounded():
    trials = trials_at(*((0.1 + n / 100, 1) for n in range(50)))
    pick = pick_trial(make_experiment(), trials, {"latency_ms": 5}, max_options=3)
    assert numbers(pick.alternatives) == [1, 2, 3]


def test_an_unknown_metric_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownMetric, match="Did you mean 'latency_ms'") as refused:
        pick_trial(make_experiment(), TRIALS, {"latency": 5})
    assert refused.value.field == "budgets.latency"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_budget_is_a_finite_number(value):
    with pytest.raises(InvalidRequest, match="not a finite number") as refused:
        pick_trial(make_experiment(), TRIALS, {"latency_ms": value})
    assert refused.value.field == "budgets.latency_ms"
