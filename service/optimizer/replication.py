"""Whether it is noise rather than search that limits the front, and which arm to run again then."""

import numpy as np

from search_spaces.arm import Arm
from service.domain.hypervolume import hypervolume
from service.domain.trial import TrialStatus
from service.optimizer.belief import Belief
from service.optimizer.gaussian_process.covariance import Array
from service.optimizer.history import ONCE, MeasuredArm, within_constraints

_DRAWS = 48
_WORTH = 3.0
"""A repeat finds nothing new: the doubt it removes must be so many times a new arm's promise."""

_SEARCH_FIRST = 20
"""Before so many trials, or two for every parameter, every arm is a new one."""

_NEW_BETWEEN = 3
"""Trials of new arms between two repeats, however noisy: what was never tried is in doubt too."""

_LEAST_DOUBT = 0.002
"""Share of the hypervolume; with less in doubt nothing is said to be noisy."""


def arm_to_repeat(belief: Belief, expected_gain: float) -> Arm | None:
    """The contender whose next measurement takes most doubt from the front's hypervolume.

    expected_gain: what the best new arm promises, in the objectives' units. None where that is
    more than a third of the doubt removed, where that is next to nothing, while a repeat is under
    way, or right after one.
    """
    request = belief.request
    if len(request.observations) < max(_SEARCH_FIRST, 2 * len(belief.encoding.axes)):
        return None
    signatures = [one.arm.signature for one in request.observations]
    signatures += [arm.signature for arm in request.pending]
    latest = range(len(request.observations) - _NEW_BETWEEN, len(signatures))
    if any(signatures[n] in signatures[:n] for n in latest):
        return None
    completed = {
        one.arm.signature for one in request.observations if one.status is TrialStatus.COMPLETED
    }
    arms = [
        contender
        for contender in belief.contenders
        if contender.arm.signature in completed and within_constraints(request, contender)
    ]
    if not arms:
        return None
    doubts, reached = _doubts(belief, arms)
    most = int(np.argmax(doubts))
    is_worth_it = doubts[most] > max(_WORTH * expected_gain, _LEAST_DOUBT * reached)
    return arms[most].arm if is_worth_it else None


def _doubts(belief: Belief, arms: list[MeasuredArm]) -> tuple[list[float], float]:
    """For each arm the deviation of the hypervolume by what its next measurement may teach.

    Of the doubt that one measurement leaves: seven tenths before the first repeat, a fifth before
    the fifth.
    Beside it the hypervolume that the predicted means reach.
    """
    request = belief.request
    rng = np.random.default_rng((request.seed, request.arms_so_far, 2))
    found = [_lessons(belief, arms, objective.metric, rng) for objective in request.objectives]
    signs = np.array([objective.sign for objective in request.objectives])
    means = signs * np.stack([mean for mean, _ in found], axis=1)
    draws = signs * np.stack([drawn for _, drawn in found], axis=2)
    reference = signs * np.array([belief.reference[o.metric] for o in request.objectives])
    doubts = []
    for number in range(len(arms)):
        front = means.copy()
        volumes = []
        for values in draws[:, number]:
            front[number] = values
            volumes.append(hypervolume(front, reference))
        doubts.append(float(np.std(volumes)))
    return doubts, hypervolume(means, reference)


def _lessons(
    belief: Belief, arms: list[MeasuredArm], metric: str, rng: np.random.Generator
) -> tuple[Array, Array]:
    """What is believed of the metric at the arms (q), and what may be after a measurement more.

    The latter are draws (count x q). With a variance v of the belief and s of one measurement
    the belief moves by a normal step of variance v^2 / (v + s).
    """
    model = belief.surrogate.metrics[metric]
    features = belief.encoding.features(belief.encoding.rows_of([one.arm for one in arms]))
    mean, deviation = model.predict(features)
    known = [(one.sems[metric] or 0.0) ** 2 * one.repeats.get(metric, ONCE).count for one in arms]
    of_one = np.array(known) + model.learnt_noise(features) ** 2
    step = deviation / np.hypot(deviation, np.sqrt(of_one))
    return mean, mean + step * (model.draw(features, _DRAWS, rng) - mean)
