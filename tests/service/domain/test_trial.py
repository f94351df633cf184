import itertools

import pytest

from service.domain.errors import TransitionRefused
from service.domain.trial import TRIAL_TRANSITIONS, TrialStatus, next_status

S = TrialStatus
ALLOWED = {
    (S.CANDIDATE, S.RUNNING),
    (S.CANDIDATE, S.CANCELLED),
    (S.CANDIDATE, S.COMPLETED),
    (S.CANDIDATE, S.INFEASIBLE),
    (S.RUNNING, S.COMPLETED),
    (S.RUNNING, S.INFEASIBLE),
    (S.RUNNING, S.EARLY_STOPPED),
    (S.RUNNING, S.FAILED),
    (S.RUNNING, S.CANCELLED),
    (S.FAILED, S.CANDIDATE),
    (S.CANCELLED, S.CANDIDATE),
}


@pytest.mark.parametrize(("current", "wanted"), list(itertools.product(S, S)))
def test_exactly_the_drawn_transitions_are_allowed(current, wanted):
    if (current, wanted) in ALLOWED:
        assert next_status(current, wanted) is wanted
    else:
        with pytest.raises(TransitionRefused, match=rf"A {current} trial cannot become {wanted}"):
            next_status(current, wanted)


def test_every_status_has_a_row_in_the_table():
    assert set(TRIAL_TRANSITIONS) == set(S)


def test_refusal_lists_the_ways_out():
    with pytest.raises(TransitionRefused, match=r"it leads to cancelled, completed, infeasible"):
        next_status(S.CANDIDATE, S.FAILED)
    with pytest.raises(TransitionRefused, match="it leads to nothing"):
        next_status(S.COMPLETED, S.RUNNING)


def test_only_candidates_and_running_trials_are_not_final():
    assert {status for status in S if not status.is_final} == {S.CANDIDATE, S.RUNNING}


@pytest.mark.parametrize("status", [S.COMPLETED, S.INFEASIBLE, S.EARLY_STOPPED])
def test_results_are_final_for_good(status):
    assert not TRIAL_TRANSITIONS[status]


def test_every_status_can_be_reached_from_a_candidate():
    reached = {S.CANDIDATE}
    while True:
        further = {wanted for status in reached for wanted in TRIAL_TRANSITIONS[status]}
        if further <= reached:
            break
        reached |= further
    assert reached == set(S)
