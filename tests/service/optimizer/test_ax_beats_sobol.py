"""The model is worth its cost: more hypervolume than filling the space, on known problems."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from service.domain.hypervolume import hypervolume
from service.domain.measurement import Measurement
from service.domain.objective import Objective
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Observation, SuggestRequest, find_optimizer
from tests.service.optimizer.tricky_spaces import choice, float_, int_, space_of

INITIAL, TRIALS, SEEDS = 6, 20, (0, 1, 2)


def branin_currin(arm: Arm) -> dict[str, float]:
    """Two objectives to minimise over the unit square; reference point (18, 6) as in BoTorch."""
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


MIXED_SPACE = space_of(
    *(float_(f"f{n}") for n in range(5)),
    float_("lr", 1e-5, 1e-1, scale="log"),
    int_("layers", 1, 8),
    choice("width", [32, 64, 128, 256]),
    choice("act", ["relu", "gelu", "silu"]),
    {"type": "bool", "name": "norm"},
)


def small_network(arm: Arm) -> dict[str, float]:
    """An error that size and a well-chosen recipe lower, and a latency that size raises."""
    p = arm.parameters
    size = float(p["layers"]) * float(p["width"])
    recipe = (math.log10(float(p["lr"])) + 3) ** 2 / 4 + 0.1 * (p["act"] != "gelu")
    recipe += 0.1 * (not p["norm"]) + sum((float(p[f"f{n}"]) - 0.4) ** 2 for n in range(5))
    return {"first": 0.5 * recipe + 8 / (size / 32 + 1), "second": 0.2 + size / 1024}


PROBLEMS: dict[
    str, tuple[ParameterSpace, Callable[[Arm], dict[str, float]], tuple[float, float]]
] = {
    "branin_currin": (space_of(float_("x"), float_("y")), branin_currin, (18.0, 6.0)),
    "mixed": (MIXED_SPACE, small_network, (4.0, 2.5)),
}


def hypervolume_after_search(problem: str, strategy: str, seed: int) -> float:
    space, measure, reference = PROBLEMS[problem]
    objectives = tuple(
        Objective(metric=metric, goal="minimize", threshold=value)
        for metric, value in zip(("first", "second"), reference, strict=True)
    )
    observations: list[Observation] = []
    while len(observations) < TRIALS:
        request = SuggestRequest(
            space=space,
            objectives=objectives,
            observations=tuple(observations),
            initial_trials=INITIAL,
            seed=seed,
            strategy="auto",
        )
        for suggestion in find_optimizer(strategy).suggest(request):
            measured = {k: Measurement(mean=v) for k, v in measure(suggestion.arm).items()}
            observations.append(
                Observation(arm=suggestion.arm, status=TrialStatus.COMPLETED, measurements=measured)
            )
    points = np.array(
        [[-o.measurements[m].mean for m in ("first", "second")] for o in observations]
    )
    return hypervolume(points, -np.array(reference))


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_model_dominates_more_than_filling_the_space(problem: str) -> None:
    auto = [hypervolume_after_search(problem, "auto", seed) for seed in SEEDS]
    sobol = [hypervolume_after_search(problem, "sobol", seed) for seed in SEEDS]
    assert min(auto) > max(sobol)
