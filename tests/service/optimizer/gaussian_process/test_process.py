"""The posterior, against the textbook's formulas written out with inverses."""

from dataclasses import replace

import numpy as np
import pytest

from service.optimizer.gaussian_process.covariance import (
    Columns,
    Family,
    Hyperparameters,
    correlation,
)
from service.optimizer.gaussian_process.noise import Noise
from service.optimizer.gaussian_process.process import GaussianProcess, Training

FAMILIES = [
    Family(kernel, has_trend=trend) for kernel in ("rbf", "matern52") for trend in (False, True)
]
COLUMNS = Columns(np.array([0, 1, 2, 2, 2]), np.array([True, True, False, False, False]))

BENDS, STRAIGHT = np.array([1.5, -0.7]), np.zeros(2)


def features_of(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    levels = np.eye(3)[rng.integers(0, 3, count)] / np.sqrt(2.0)
    return np.hstack([rng.random((count, 2)), levels])


def hyperparameters(family: Family) -> Hyperparameters:
    trends = 7 if family.has_trend else 0
    return Hyperparameters(
        family,
        np.array([1.0, -0.5, 0.3]),
        0.2,
        -4.0,
        np.linspace(-1, 0, trends),
        BENDS,
    )


def process_of(family: Family, count: int = 12) -> GaussianProcess:
    features = features_of(count, 0)
    values = np.sin(5 * features[:, 0]) + features[:, 1]
    noise = replace(Noise.none(count), known=np.linspace(0.0, 0.02, count))
    return GaussianProcess(hyperparameters(family), Training(COLUMNS, features, values, noise))


def on_scale(points: np.ndarray) -> np.ndarray:
    """The first two columns by their bends; the levels as they are."""
    curved = np.log(1.0 + (np.exp(BENDS) - 1.0) * points[:, :2]) / BENDS
    return np.hstack([curved, points[:, 2:]])


def covariance(family: Family, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    given = hyperparameters(family)
    weights = np.exp(given.log_weights)[COLUMNS.axis]
    squared = np.array(
        [[np.sum(weights * (a - b) ** 2) for b in on_scale(other)] for a in on_scale(one)]
    )
    kernel = np.exp(given.log_signal_variance) * correlation(family, squared)[0]
    scales = np.append(1.0, np.exp(given.log_trend_variances))
    terms = [COLUMNS.terms(family, points) for points in (one, other)]
    return kernel + (terms[0] * scales) @ terms[1].T


@pytest.mark.parametrize("family", FAMILIES)
def test_the_posterior_is_the_textbooks(family: Family) -> None:
    process, points = process_of(family), features_of(5, 1)
    training = process.training
    inverse = np.linalg.inv(
        covariance(family, training.features, training.features)
        + np.diag(training.noise.known + np.exp(-4.0) + 1e-9)
    )
    cross = covariance(family, training.features, points)
    mean, joint = process.joint(points)
    assert mean == pytest.approx(cross.T @ inverse @ training.values)
    assert joint == pytest.approx(covariance(family, points, points) - cross.T @ inverse @ cross)
    alone, deviation = process.predict(points)
    assert alone == pytest.approx(mean)
    assert deviation == pytest.approx(np.sqrt(np.diag(joint)))


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_the_predictions(family: Family) -> None:
    process, point = process_of(family), features_of(1, 2)[0]
    mean, deviation, mean_slope, deviation_slope = process.predict_with_gradient(point)
    for column in range(len(point)):
        step = 1e-6 * np.eye(len(point))[column]
        means, deviations = process.predict(np.array([point + step, point - step]))
        assert mean_slope[column] == pytest.approx((means[0] - means[1]) / 2e-6, abs=1e-5)
        wanted = (deviations[0] - deviations[1]) / 2e-6
        assert deviation_slope[column] == pytest.approx(wanted, abs=1e-5)
    both = process.predict(point[None])
    assert (mean, deviation) == pytest.approx((both[0][0], both[1][0]))


@pytest.mark.parametrize("family", FAMILIES)
def test_leaving_one_out_is_what_fitting_without_it_gives(family: Family) -> None:
    process = process_of(family, 6)
    training, total = process.training, 0.0
    for left_out in range(6):
        kept = np.delete(np.arange(6), left_out)
        rest = GaussianProcess(hyperparameters(family), training.some(kept))
        mean, deviation = rest.predict(training.features[[left_out]])
        variance = deviation[0] ** 2 + training.noise.known[left_out] + np.exp(-4.0) + 1e-9
        residual = training.values[left_out] - mean[0]
        total -= 0.5 * (np.log(2 * np.pi * variance) + residual**2 / variance)
    assert process.leave_one_out() == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_known_value_leaves_no_doubt_and_a_noisy_one_does(family: Family) -> None:
    process, points = process_of(family), features_of(3, 3)
    values = np.array([0.5, -1.0, 2.0])
    mean, deviation = process.given(points, values).predict(points)
    assert mean == pytest.approx(values, abs=1e-3)
    assert np.all(deviation < 1e-3)
    _, before = process.predict(process.training.features)
    assert np.all(before > 0.01)


def test_the_mean_of_a_source_may_be_a_term_of_the_trend() -> None:
    source = process_of(Family("rbf", has_trend=False), 30)
    family = Family("rbf", has_trend=False, has_sources=True)
    columns = Columns(COLUMNS.axis, COLUMNS.is_curved, (source,))
    points = features_of(5, 4)
    there, _ = source.predict(points)
    given = Hyperparameters(family, np.full(3, -8.0), -6.0, -12.0, np.array([3.0]), STRAIGHT)
    training = Training(columns, points, 2.0 * there + 1.0, Noise.none(5))
    process = GaussianProcess(given, training)
    elsewhere = features_of(20, 5)
    mean, _ = process.predict(elsewhere)
    assert mean == pytest.approx(2.0 * source.predict(elsewhere)[0] + 1.0, abs=0.05)
    _, _, slope, _ = process.predict_with_gradient(elsewhere[0])
    assert slope == pytest.approx(2.0 * source.predict_with_gradient(elsewhere[0])[2], abs=0.1)


def test_repeated_points_without_noise_are_no_trouble() -> None:
    features = np.vstack([features_of(4, 0)] * 3)
    given = Hyperparameters(
        Family("rbf", has_trend=False), np.zeros(3), 0.0, -40.0, np.empty(0), STRAIGHT
    )
    process = GaussianProcess(given, Training(COLUMNS, features, features[:, 0], Noise.none(12)))
    mean, _ = process.predict(features[:4])
    assert mean == pytest.approx(features[:4, 0], abs=1e-3)
