"""The model is worth its cost: more hypervolume than filling the space, on a known problem."""

import math

import numpy as np
import pytest

from search_spaces.arm import Arm
from service.domain.hypervolume import hypervolume
from service.domain.measurement import Measurement
from service.domain.objective import Objective
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Observation, SuggestRequest, find_optimizer
from tests.service.optimizer.tricky_spaces import float_, space_of

INITIAL, TRIALS, SEEDS = 6, 20, (0, 1, 2)


def branin_currin(arm: Arm) -> dict[str, float]:
    """Two objectives to minimise over the unit square, as in BoTorch's test functions."""
    x, y = float(arm.parameters["x"]), float(arm.parameters["y"])
    u, v = 15 * x - 5, 15 * y
    branin = (
        (v - 5.1 / (4 * math.pi**2) * u**2 + 5 / math.pi * u - 6) ** 2
        + 10 * (1 - 1 / (8 * math.pi)) * math.cos(u)
        + 10
    )
    factor = 1 - math.exp(-1 / (2 * y)) if y > 0 else 1.0
    polynomial = (2300 * x**3 + 1900 * x**2 + 2092 * x + 60) / (
        100 * x**3 + 500 * x**2 + 4 * x + 20
    )
    return {"first": branin, "second": factor * polynomial}


SPACE = space_of(float_("x"), float_("y"))
REFERENCE = (18.0, 6.0)


def hypervolume_after_search(strategy: str, seed: int) -> float:
    objectives = tuple(
        Objective(metric=metric, goal="minimize", threshold=value)
        for metric, value in zip(("first", "second"), REFERENCE, strict=True)
    )
    observations: list[Observation] = []
    while len(observations) < TRIALS:
        request = SuggestRequest(
            space=SPACE,
            objectives=objectives,
            observations=tuple(observations),
            initial_trials=INITIAL,
            seed=seed,
            strategy="auto",
        )
        for suggestion in find_optimizer(strategy).suggest(request):
            measured = {k: Measurement(mean=v) for k, v in branin_currin(suggestion.arm).items()}
            observations.append(
                Observation(arm=suggestion.arm, status=TrialStatus.COMPLETED, measurements=measured)
            )
    points = np.array(
        [[-o.measurements[m].mean for m in ("first", "second")] for o in observations]
    )
    return hypervolume(points, -np.array(REFERENCE))


@pytest.mark.slow
def test_the_model_dominates_more_than_filling_the_space() -> None:
    auto = [hypervolume_after_search("auto", seed) for seed in SEEDS]
    sobol = [hypervolume_after_search("sobol", seed) for seed in SEEDS]
    assert min(auto) > max(sobol), (auto, sobol)
