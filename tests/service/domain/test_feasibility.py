import pytest

from service.domain.feasibility import is_feasible, is_observed
from service.domain.trial import TrialStatus
from tests.service.made_trials import make_experiment, make_trial

BOTH = {"frame_error": 0.2, "latency_ms": 4}
CONSTRAINED = make_experiment(outcome_constraints=["file_size_bytes <= 100"]).spec


@pytest.mark.parametrize("status", list(TrialStatus))
def test_only_completed_and_early_stopped_trials_are_observed(status):
    expected = status in (TrialStatus.COMPLETED, TrialStatus.EARLY_STOPPED)
    assert is_observed(make_trial(0, BOTH, status), make_experiment().spec.objectives) is expected


def test_a_trial_lacking_an_objective_is_not_observed():
    trial = make_trial(0, {"frame_error": 0.2}, TrialStatus.EARLY_STOPPED)
    assert not is_observed(trial, make_experiment().spec.objectives)


@pytest.mark.parametrize(("size", "feasible"), [(99, True), (100, True), (101, False)])
def test_constraints_decide(size, feasible):
    assert is_feasible(make_trial(0, BOTH | {"file_size_bytes": size}), CONSTRAINED) is feasible


def test_an_unmeasured_constraint_is_not_met():
    assert not is_feasible(make_trial(0, BOTH), CONSTRAINED)


def test_without_constraints_every_observed_trial_is_feasible():
    assert is_feasible(make_trial(0, BOTH), make_experiment().spec)
