"""The slope of the acquisition function, where one metric is modelled by its logarithm."""

import math

import numpy as np
import pytest

from service.domain.measurement import Measurement
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.trial import TrialStatus
from service.optimizer.belief import Belief
from service.optimizer.optimizer import Observation, SuggestRequest, find_optimizer
from tests.service.optimizer.tricky_spaces import float_, space_of

SPACE = space_of(float_("x"), float_("y"))
METRICS = ("latency_ms", "accuracy", "size_mb")


def belief(bound: float = 40.0) -> Belief:
    """Latency multiplies what x and y do, to be minimised; accuracy adds it up."""
    request = SuggestRequest(
        space=SPACE,
        objectives=(
            Objective(metric="latency_ms", goal="minimize", threshold=60.0),
            Objective(metric="accuracy", goal="maximize", threshold=0.0),
        ),
        outcome_constraints=(OutcomeConstraint(metric="size_mb", op="<=", bound=bound),),
        count=9,
        seed=3,
    )
    observations = []
    for suggestion in find_optimizer("sobol").suggest(request):
        x, y = (float(suggestion.arm.parameters[name]) for name in "xy")
        values = (math.exp(3 * x + 2 * y), x - 0.5 * y * y, math.exp(4 * x - y))
        observations.append(
            Observation(
                arm=suggestion.arm,
                status=TrialStatus.COMPLETED,
                measurements={
                    name: Measurement(mean=value)
                    for name, value in zip(METRICS, values, strict=True)
                },
            )
        )
    found = Belief.of(request.model_copy(update={"observations": tuple(observations)}))
    assert found is not None
    return found


@pytest.mark.parametrize("boldness", [1.0, 0.3])
@pytest.mark.parametrize("pending", [0, 2])
def test_the_gradient_is_that_of_the_values(boldness: float, pending: int) -> None:
    given = belief()
    warps = {metric: given.surrogate.metrics[metric].warp for metric in METRICS}
    assert warps["latency_ms"].floor is not None
    assert warps["accuracy"].floor is None
    assert warps["size_mb"].floor is not None
    rng = np.random.default_rng(1)
    acquisition = given.acquisition(rng.random((pending, 2)), boldness)
    points = rng.random((400, 2))
    likely = points[np.argsort(-acquisition.log_values(points))[:20]]
    for point in likely:
        value, gradient = acquisition.log_value_and_gradient(point)
        assert value == pytest.approx(acquisition.log_values(point[np.newaxis])[0], rel=1e-6)
        steps = 1e-6 * np.eye(2)
        high, low = (acquisition.log_values(point + way * steps) for way in (1, -1))
        np.testing.assert_allclose(gradient, (high - low) / 2e-6, rtol=1e-3, atol=1e-2)


def test_a_bound_below_all_that_can_be_leaves_no_hope_but_a_number() -> None:
    acquisition = belief(bound=-1.0).acquisition(np.empty((0, 2)))
    values = acquisition.log_values(np.random.default_rng(0).random((20, 2)))
    assert np.all(np.isfinite(values))
    assert values.max() < -1e3
