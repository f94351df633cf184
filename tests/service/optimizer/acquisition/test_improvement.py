"""The expected improvement, against plain sampling, against differences, and far out."""

import numpy as np
import pytest

from service.domain.hypervolume import hypervolume
from service.optimizer.acquisition.improvement import HypervolumeImprovement


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_it_agrees_with_sampling(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    front, reference = rng.random((5, objectives)), np.full(objectives, -0.1)
    mean, deviation = rng.random(objectives), 0.1 + 0.3 * rng.random(objectives)
    improvement = HypervolumeImprovement(front, reference)
    exact = np.exp(improvement.log_values(mean[None], deviation[None])[0])
    reached = hypervolume(front, reference)
    drawn = mean + deviation * rng.normal(size=(4_000, objectives))
    gains = [hypervolume(np.vstack([front, one]), reference) - reached for one in drawn]
    assert exact == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / np.sqrt(len(gains)))


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("distance", [0.0, 3.0, 40.0])
def test_gradients_are_those_of_the_values(objectives: int, distance: float) -> None:
    """Near the front, and so far below it that the improvement itself is no float any more."""
    rng = np.random.default_rng(7)
    improvement = HypervolumeImprovement(rng.random((6, objectives)), np.zeros(objectives))
    mean, deviation = rng.random(objectives) - distance, 0.2 + rng.random(objectives)
    value, by_mean, by_deviation = improvement.log_value_and_gradients(mean, deviation)
    assert value == pytest.approx(improvement.log_values(mean[None], deviation[None])[0])
    for objective in range(objectives):
        step = 1e-5 * np.eye(objectives)[objective]

        def slope(means: list[np.ndarray], deviations: list[np.ndarray]) -> float:
            high, low = improvement.log_values(np.array(means), np.array(deviations))
            return float(high - low) / 2e-5

        wanted = slope([mean + step, mean - step], [deviation, deviation])
        assert by_mean[objective] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        wanted = slope([mean, mean], [deviation + step, deviation - step])
        assert by_deviation[objective] == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_a_better_mean_is_never_worth_less() -> None:
    improvement = HypervolumeImprovement(np.array([[1.0, 0.0], [0.0, 1.0]]), np.full(2, -1.0))
    means = np.linspace(-100.0, 3.0, 60)[:, None] * np.ones(2)
    values = improvement.log_values(means, np.full_like(means, 0.3))
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) > 0)


def test_a_crowded_front_is_thinned_without_much_harm() -> None:
    rng = np.random.default_rng(3)
    front = rng.random((400, 3))
    front /= np.linalg.norm(front, axis=1)[:, None]  # none dominates another
    reference = np.zeros(3)
    improvement = HypervolumeImprovement(front, reference)
    points = np.full((1, 3), 0.62)  # a little beyond the sphere
    gain = hypervolume(np.vstack([front, points]), reference) - hypervolume(front, reference)
    value = np.exp(improvement.log_values(points, np.full((1, 3), 1e-6))[0])
    assert gain <= value < 2 * gain


def test_nothing_is_left_to_chance_where_nothing_is_uncertain() -> None:
    front, reference = np.array([[1.0, 0.5], [0.5, 1.0]]), np.zeros(2)
    improvement = HypervolumeImprovement(front, reference)
    point = np.array([[0.9, 0.9]])
    gain = hypervolume(np.vstack([front, point]), reference) - hypervolume(front, reference)
    value = improvement.log_values(point, np.full((1, 2), 1e-9))[0]
    assert np.exp(value) == pytest.approx(gain)
