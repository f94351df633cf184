"""Whether it is noise rather than search that limits the front, and which arm to run again then."""

import numpy as np

from search_spaces.arm import Arm
from service.domain.hypervolume import hypervolume
from service.domain.trial import TrialStatus
from service.optimizer.belief import Belief
from service.optimizer.history import within_constraints

_DRAWS = 48
_WORTH = 3.0
"""A repeat finds nothing new: the doubt it removes must be so many times a new arm's promise."""

_SEARCH_FIRST = 20
"""Before so many trials, or two for every parameter, every arm is a new one."""

_LEAST_DOUBT = 0.002
"""Share of the hypervolume; with less in doubt nothing is said to be noisy."""


def arm_to_repeat(belief: Belief, expected_gain: float) -> Arm | None:
    """The contender whose true values leave the front's hypervolume most in doubt.

    expected_gain: what the best new arm promises, in the objectives' units. None where that is
    more than a third of the doubt, where next to nothing is in doubt, or while a repeat is under
    way.
    """
    request = belief.request
    if len(request.observations) < max(_SEARCH_FIRST, 2 * len(belief.encoding.axes)):
        return None
    observed = {one.arm.signature for one in request.observations}
    if any(arm.signature in observed for arm in request.pending):
        return None
    completed = {
        one.arm.signature for one in request.observations if one.status is TrialStatus.COMPLETED
    }
    arms = [
        contender.arm
        for contender in belief.contenders
        if contender.arm.signature in completed and within_constraints(request, contender)
    ]
    if not arms:
        return None
    doubts, reached = _doubts(belief, arms)
    most = int(np.argmax(doubts))
    is_worth_it = doubts[most] > max(_WORTH * expected_gain, _LEAST_DOUBT * reached)
    return arms[most] if is_worth_it else None


def _doubts(belief: Belief, arms: list[Arm]) -> tuple[list[float], float]:
    """For each arm the deviation of the hypervolume if its true values alone were unknown.

    Beside it the hypervolume that the predicted means reach.
    """
    request = belief.request
    features = belief.encoding.features(belief.encoding.rows_of(arms))
    rng = np.random.default_rng((request.seed, request.arms_so_far, 2))
    models = [(o.sign, belief.surrogate.metrics[o.metric]) for o in request.objectives]
    means = np.stack([sign * model.predict(features)[0] for sign, model in models], axis=1)
    draws = np.stack([sign * model.draw(features, _DRAWS, rng) for sign, model in models], axis=2)
    reference = np.array([o.sign * belief.reference[o.metric] for o in request.objectives])
    doubts = []
    for number in range(len(arms)):
        front = means.copy()
        volumes = []
        for values in draws[:, number]:
            front[number] = values
            volumes.append(hypervolume(front, reference))
        doubts.append(float(np.std(volumes)))
    return doubts, hypervolume(means, reference)
