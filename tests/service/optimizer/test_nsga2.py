"""The evolutionary baseline really evolves: it beats independent draws in eight dimensions."""

import math
import statistics

import numpy as np

from search_spaces.arm import Arm
from service.domain.hypervolume import hypervolume
from service.domain.measurement import Measurement
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Observation, SuggestRequest, find_optimizer
from tests.service.optimizer.test_gp import GOALS
from tests.service.optimizer.tricky_spaces import float_, space_of

SPACE = space_of(*(float_(f"x{n}") for n in range(8)))


def values(arm: Arm) -> tuple[float, float]:
    """A front along x0, as high as the other seven are near 0.7."""
    x, *rest = (float(value) for value in arm.parameters.values())
    height = max(1.0 - sum((y - 0.7) ** 2 for y in rest), 0.0)
    return height * math.cos(1.5 * x), height * math.sin(1.5 * x)


def reached(strategy: str, seed: int) -> float:
    request = SuggestRequest(
        space=SPACE, objectives=GOALS, seed=seed, strategy=strategy, initial_trials=20
    )
    for _ in range(120):
        arm = find_optimizer(strategy).suggest(request)[0].arm
        left, right = values(arm)
        measured = {"left": Measurement(mean=left), "right": Measurement(mean=right)}
        new = Observation(arm=arm, status=TrialStatus.COMPLETED, measurements=measured)
        request = request.model_copy(update={"observations": (*request.observations, new)})
    points = [values(observation.arm) for observation in request.observations]
    return hypervolume(np.array(points), np.zeros(2))


def test_offspring_beat_independent_draws() -> None:
    gains = [reached("nsga2", seed) - reached("random", seed) for seed in range(3)]
    assert statistics.median(gains) > 0.1
    assert min(gains) > 0
