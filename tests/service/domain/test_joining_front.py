import numpy as np
import pytest

from service.domain.experiment import ExperimentSpec
from service.domain.joining_front import probability_of_joining
from service.domain.learning_curves import EndForecast
from service.domain.measurement import Measurement

FRONT = np.array([[-0.3, -2.0], [-0.1, -5.0]])  # (error, latency) of two trials, turned round


def spec(error_threshold=None, constraints=()):
    return ExperimentSpec.model_validate(
        {
            "name": "e",
            "parameters": [{"type": "int", "name": "x", "low": 1, "high": 2}],
            "objectives": [
                {"metric": "error", "goal": "minimize", "threshold": error_threshold},
                {"metric": "latency_ms", "goal": "minimize"},
            ],
            "outcome_constraints": list(constraints),
            "budget": 1,
        }
    )


def error_of(mean, scale=0.05, freedom=1000):
    return {"error": EndForecast(mean, scale, freedom, "validation_error")}


def latency(mean, sem=None):
    return {"latency_ms": Measurement(mean=mean, sem=sem)}


@pytest.mark.parametrize(
    ("mean", "latency_ms", "low", "high"),
    [
        (0.3, 3.0, 0.47, 0.53),  # as good as the one that is quicker: an even chance
        (0.5, 3.0, 0.0, 0.001),  # four scales worse than it
        (0.5, 1.0, 1.0, 1.0),  # quicker than all: whatever it errs, nobody dominates it
        (0.1, 6.0, 0.47, 0.53),  # slower than all: it must err less than the best
    ],
)
def test_the_probability_is_that_of_beating_whoever_is_as_quick(mean, latency_ms, low, high):
    found = probability_of_joining(spec(), FRONT, latency(latency_ms), error_of(mean))
    assert low <= found <= high


def test_a_heavier_tail_leaves_more_hope():
    light, heavy = (
        probability_of_joining(spec(), FRONT, latency(3.0), error_of(0.5, freedom=freedom))
        for freedom in (1000, 3)
    )
    assert light < 0.001 < heavy


def test_the_noise_of_what_is_measured_counts():
    exact = probability_of_joining(spec(), FRONT, latency(2.05), error_of(0.5))
    noisy = probability_of_joining(spec(), FRONT, latency(2.05, sem=0.05), error_of(0.5))
    assert exact < 0.001
    assert noisy == pytest.approx(0.16, abs=0.02)


def test_thresholds_and_constraints_are_bounds():
    quick = latency(1.0)
    assert probability_of_joining(spec(0.5), FRONT, quick, error_of(0.5)) == pytest.approx(
        0.5, abs=0.02
    )
    bounded = spec(constraints=["error <= 0.5", "file_size_bytes <= 10"])
    assert probability_of_joining(bounded, FRONT, quick, error_of(0.5)) == pytest.approx(
        0.5, abs=0.02
    )
    too_large = quick | {"file_size_bytes": Measurement(mean=11)}
    assert probability_of_joining(bounded, FRONT, too_large, error_of(0.1)) == 0.0


def test_an_objective_nobody_can_foresee_leaves_it_open():
    assert probability_of_joining(spec(), FRONT, {}, error_of(0.9)) is None
    assert probability_of_joining(spec(), FRONT, latency(3.0), {}) is None


def test_an_empty_front_takes_anything():
    assert probability_of_joining(spec(), np.zeros((0, 2)), latency(9.0), error_of(0.9)) == 1.0


def test_equal_questions_get_equal_answers():
    one, other = (
        probability_of_joining(spec(), FRONT, latency(3.0), error_of(0.32)) for _ in range(2)
    )
    assert one == other
