"""When an arm is measured again, and which: where noise rather than search limits the front."""

import numpy as np

from search_spaces.arm import Arm
from service.domain.measurement import Measurement
from service.optimizer.belief import Belief
from service.optimizer.optimizer import Observation, SuggestRequest
from service.optimizer.replication import arm_to_repeat
from tests.service.optimizer.test_gp import arms, completed, request_of


def noisy(count: int) -> list[Observation]:
    """So many trials of a small space, none of them sure."""
    return [completed(arm, sem=0.3) for arm in arms(count)]


def after(observations: list[Observation]) -> SuggestRequest:
    return request_of().model_copy(update={"observations": tuple(observations)})


def believed(observations: list[Observation]) -> Belief:
    belief = Belief.of(after(observations))
    assert belief is not None
    return belief


def test_the_contender_in_most_doubt_is_repeated_unless_a_new_arm_promises_more() -> None:
    belief = believed(noisy(60))
    again = arm_to_repeat(belief, expected_gain=0.0)
    assert again in [one.arm for one in belief.contenders]
    assert arm_to_repeat(belief, expected_gain=100.0) is None


def test_every_repeat_teaches_less_than_the_one_before() -> None:
    observations = noisy(60)
    first = arm_to_repeat(believed(observations), expected_gain=0.0)
    assert first is not None
    observations[:0] = [completed(first, sem=0.3)] * 12
    assert arm_to_repeat(believed(observations), expected_gain=0.0) != first


def test_three_new_arms_are_tried_between_two_repeats_however_noisy() -> None:
    first, *others = noisy(60)
    for new_since in range(5):
        observations = [first, *others]
        observations.insert(len(observations) - new_since, first)
        again = arm_to_repeat(believed(observations), expected_gain=0.0)
        assert (again is None) == (new_since < 3)


def test_no_arm_is_repeated_while_one_is() -> None:
    observations = noisy(60)
    again = arm_to_repeat(believed(observations), expected_gain=0.0)
    assert again is not None
    request = after(observations).model_copy(update={"pending": (again,)})
    belief = Belief.of(request)
    assert belief is not None
    assert arm_to_repeat(belief, expected_gain=0.0) is None


def test_what_the_surrogate_cannot_follow_is_not_measured_again_for_ever() -> None:
    """Every arm has a value of its own, far from its neighbours', and always the same."""

    def erratic(arm: Arm) -> Observation:
        known = completed(arm)
        rng = np.random.default_rng(int.from_bytes(arm.signature.encode()[:8], "big"))
        moved = {
            name: Measurement(mean=value.mean + float(rng.normal(0.0, 0.3)))
            for name, value in known.measurements.items()
        }
        return known.model_copy(update={"measurements": moved})

    observations = [erratic(arm) for arm in arms(40)]
    repeats = 0
    while (again := arm_to_repeat(believed(observations), expected_gain=0.0)) is not None:
        observations.insert(0, erratic(again))  # as if new arms had been tried since
        repeats += 1
        assert repeats <= 4
    assert repeats > 0  # it looks like noise at first
