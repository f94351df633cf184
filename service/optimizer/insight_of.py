"""Looks into an experiment with our surrogate: forecasts, predicted front, expected gain."""

import math
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search_spaces.arm import Arm
from service.domain.hypervolume import hypervolume
from service.domain.pareto import Points, is_non_dominated, oriented
from service.optimizer.belief import Belief
from service.optimizer.gaussian_process.covariance import Array
from service.optimizer.gp import Proposals
from service.optimizer.history import MeasuredArm, incumbents, within_constraints
from service.optimizer.insight import Forecast, Insight, Prediction
from service.optimizer.neighbours import legal_neighbours
from service.optimizer.optimizer import SuggestRequest

_DRAWS = 256
_MAX_DRAWN_ARMS = 200
_UNTRIED = 256
"""Arms around the front among which the model's front may find untried ones."""


def insight_of(request: SuggestRequest) -> Insight:
    """What the surrogate says; all of it empty while there is too little to fit it to.

    Deterministic but for `seconds`.
    """
    begin_s = time.perf_counter()
    belief = Belief.of(request)
    if belief is None:
        return Insight(observations=len(request.observations), strategy="gp")
    observed = [
        arm
        for arm, may_stand in zip(belief.arms, belief.may_stand, strict=True)
        if may_stand and within_constraints(request, arm)
    ]
    gain = _expected_gain(belief)
    reached = _reached(belief, observed)
    return Insight(
        forecasts=_forecasts(belief, observed),
        predicted_front=_predicted_front(belief, observed),
        expected_gain=gain,
        relative_expected_gain=gain / reached if gain is not None and reached > 0 else None,
        observations=len(request.observations),
        strategy="gp",
        seconds=time.perf_counter() - begin_s,
    )


def _forecasts(belief: Belief, observed: Sequence[MeasuredArm]) -> tuple[Forecast, ...]:
    arms = [arm.arm for arm in observed]
    if not arms:
        return ()
    probabilities = _probabilities_on_front(belief, arms)
    return tuple(
        forecast.model_copy(update={"probability_on_front": probability})
        for forecast, probability in zip(_predicted(belief, arms), probabilities, strict=True)
    )


def _probabilities_on_front(belief: Belief, arms: Sequence[Arm]) -> list[float | None]:
    """How often each arm stands on the front of joint draws of the true values.

    Of many arms only those that the means put nearest to the front are drawn; the others are
    told nothing.
    """
    request = belief.request
    drawn = _nearest_to_front(belief, arms)
    features = belief.encoding.features(belief.encoding.rows_of([arms[n] for n in drawn]))
    rng = np.random.default_rng((request.seed, len(request.observations)))
    values = np.stack(
        [
            objective.sign * belief.surrogate.metrics[objective.metric].draw(features, _DRAWS, rng)
            for objective in request.objectives
        ],
        axis=2,
    )
    shares = np.mean([is_non_dominated(points) for points in values], axis=0)
    told: list[float | None] = [None] * len(arms)
    for n, share in zip(drawn, shares, strict=True):
        told[n] = float(share)
    return told


def _nearest_to_front(belief: Belief, arms: Sequence[Arm]) -> list[int]:
    if len(arms) <= _MAX_DRAWN_ARMS:
        return list(range(len(arms)))
    points, _ = _means(belief, arms)
    beaten_by = [int(np.count_nonzero(np.all(points > point, axis=1))) for point in points]
    return sorted(np.argsort(beaten_by, kind="stable")[:_MAX_DRAWN_ARMS].tolist())


def _predicted_front(belief: Belief, observed: Sequence[MeasuredArm]) -> tuple[Forecast, ...]:
    """Tried and untried arms whose predicted means no other's beat, within the constraints."""
    request = belief.request
    rng = np.random.default_rng((request.seed, len(request.observations), 1))
    tried = [arm.arm for arm in observed]
    near = legal_neighbours(request.space, incumbents(request, observed), _UNTRIED, rng)
    known = {arm.signature for arm in (*tried, *request.excluded)}
    arms = tried + [arm for arm in near if arm.signature not in known]
    if not arms:
        return ()
    points, is_within = _means(belief, arms)
    candidates = np.flatnonzero(is_within)
    front = candidates[is_non_dominated(points[candidates])]
    return tuple(_predicted(belief, [arms[n] for n in front]))


def _means(belief: Belief, arms: Sequence[Arm]) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Predicted objectives, to be maximised (n x m), and which arms meet the constraints."""
    request = belief.request
    predicted = belief.surrogate.predict(arms)
    columns: list[Array] = [o.sign * predicted[o.metric][0] for o in request.objectives]
    is_within = np.ones(len(arms), dtype=bool)
    for constraint in request.outcome_constraints:
        means = predicted[constraint.metric][0]
        is_within &= (
            means <= constraint.bound if constraint.op == "<=" else means >= constraint.bound
        )
    return np.stack(columns, axis=1), is_within


def _predicted(belief: Belief, arms: Sequence[Arm]) -> list[Forecast]:
    if not arms:
        return []
    predicted = belief.surrogate.predict(arms)
    return [
        Forecast(
            arm=arm,
            predictions={
                metric: Prediction(
                    mean=float(predicted[metric][0][n]), sd=float(predicted[metric][1][n])
                )
                for metric in belief.measured_metrics
            },
        )
        for n, arm in enumerate(arms)
    ]


def _expected_gain(belief: Belief) -> float | None:
    """What the best next arm is expected to add; 0 where no new arm is left."""
    gain = Proposals(belief, "gp").expected_gain()
    if gain is None:
        return 0.0
    return gain if math.isfinite(gain) else None


def _reached(belief: Belief, observed: Sequence[MeasuredArm]) -> float:
    """The hypervolume of the observed arms at the reference point that the model took."""
    request = belief.request
    if not observed:
        return 0.0
    points = oriented(request.objectives, [arm.measurements for arm in observed])
    reference = np.array([o.sign * belief.reference[o.metric] for o in request.objectives])
    return hypervolume(points, reference)
