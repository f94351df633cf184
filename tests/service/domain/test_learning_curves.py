import math

import numpy as np
import pytest

from service.domain.learning_curves import FinishedTraining, forecast_end, last_step


def training(values, end, metric="validation_error", steps=100):
    """A curve with one value every `steps`, and where it ended."""
    curve = {metric: [(steps * (place + 1), value) for place, value in enumerate(values)]}
    return FinishedTraining(curve, {"error": end})


def linear(count, *, noise=0.0, seed=0, steps=100):
    """Trainings that end at half of what they began with, more or less."""
    draws = np.random.default_rng(seed)
    begun = draws.uniform(0.2, 1.0, count)
    ends = begun / 2 + noise * draws.standard_normal(count)
    return [training([b, (b + e) / 2, e], e, steps=steps) for b, e in zip(begun, ends, strict=True)]


def test_an_exact_relation_is_found_from_the_first_point():
    found = forecast_end({"validation_error": [(100, 0.6)]}, linear(9), "error")
    assert found is not None
    assert found.mean == pytest.approx(0.3)
    assert found.scale < 1e-9
    assert (found.freedom, found.learnt_from) == (7, "validation_error")


def test_places_count_points_whatever_their_steps():
    other_steps = linear(9, steps=37)
    one = forecast_end({"validation_error": [(100, 0.6)]}, linear(9), "error")
    other = forecast_end({"validation_error": [(100, 0.6)]}, other_steps, "error")
    assert one == other


def test_the_interval_covers_as_often_as_it_says():
    """Student's t at 7 degrees: two sides of 10 % lie beyond 1.895 scales."""
    outside = trials = 0
    for seed in range(400):
        *known, last = linear(10, noise=0.05, seed=seed)
        found = forecast_end(
            {"validation_error": last.curve["validation_error"][:1]}, known, "error"
        )
        assert found is not None
        trials += 1
        outside += abs(last.finals["error"] - found.mean) > 1.895 * found.scale
    assert 0.04 < outside / trials < 0.13  # wider than 10 %, if anything


def test_what_says_nothing_leaves_the_forecast_as_wide_as_the_ends():
    ends = [0.1, 0.3, 0.5, 0.7, 0.9, 0.2, 0.8]
    known = [training([0.5], end) for end in ends]
    found = forecast_end({"validation_error": [(100, 0.5)]}, known, "error")
    assert found is not None
    assert found.mean == pytest.approx(np.mean(ends))
    assert found.scale >= np.std(ends)


def test_the_metric_that_tells_most_is_taken():
    draws = np.random.default_rng(1)
    known = []
    for end in draws.uniform(0, 1, 12):
        curve = {
            "loss": [(10, float(draws.uniform()))],
            "validation_error": [(10, float(end) + 0.01 * float(draws.uniform()))],
        }
        known.append(FinishedTraining(curve, {"error": float(end)}))
    found = forecast_end({"loss": [(10, 0.5)], "validation_error": [(10, 0.4)]}, known, "error")
    assert found is not None
    assert found.learnt_from == "validation_error"
    assert found.mean == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(
    ("curve", "known"),
    [
        ({}, linear(9)),
        ({"validation_error": []}, linear(9)),
        ({"another_metric": [(100, 0.5)]}, linear(9)),
        ({"validation_error": [(100, 0.6)]}, linear(3)),
        ({"validation_error": [(s, 0.6) for s in range(1, 5)]}, linear(9)),  # longer than theirs
    ],
)
def test_nothing_to_compare_with_gives_no_forecast(curve, known):
    assert forecast_end(curve, known, "error") is None


@pytest.mark.parametrize("step", [0.0, 0.001])
def test_one_extreme_training_cannot_hide_its_error(step):
    known = [training([0.5 + step * i], 0.3) for i in range(6)] + [training([5.0], 3.0)]
    found = forecast_end({"validation_error": [(100, 5.0)]}, known, "error")
    assert found is not None
    assert found.scale > 0.5
    assert math.isfinite(found.scale)


def test_last_step():
    assert last_step({}) == 0
    assert last_step({"a": [(5, 1.0)], "b": [(5, 1.0), (9, 1.0)]}) == 9


def test_the_deviation_is_that_of_student_t():
    found = forecast_end({"validation_error": [(100, 0.6)]}, linear(9, noise=0.05), "error")
    assert found is not None
    assert found.deviation == pytest.approx(found.scale * math.sqrt(7 / 5))
    few = forecast_end({"validation_error": [(100, 0.6)]}, linear(4, noise=0.05), "error")
    assert few is not None
    assert few.deviation is None
