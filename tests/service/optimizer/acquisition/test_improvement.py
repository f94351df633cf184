"""The expected improvement, against plain sampling, against differences, and far out."""

import numpy as np
import pytest

from service.domain.hypervolume import hypervolume
from service.optimizer.acquisition.excess import Marginal, log_excess, slopes_of_excess
from service.optimizer.acquisition.improvement import HypervolumeImprovement
from service.optimizer.gaussian_process.warp import UNWARPED, Warp

LOGARITHM = Warp(-1.0, centre=0.2, scale=0.7)


def log_values(
    improvement: HypervolumeImprovement, means: np.ndarray, deviations: np.ndarray
) -> np.ndarray:
    """Of normal objectives; means and deviations are q x m."""
    return improvement.log_values(
        [
            log_excess(Marginal(UNWARPED, 1, means[:, [n]], deviations[:, [n]]), edges)
            for n, edges in enumerate(improvement.edges)
        ]
    )


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_it_agrees_with_sampling(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    front, reference = rng.random((5, objectives)), np.full(objectives, -0.1)
    mean, deviation = rng.random(objectives), 0.1 + 0.3 * rng.random(objectives)
    improvement = HypervolumeImprovement(front, reference)
    exact = np.exp(log_values(improvement, mean[None], deviation[None])[0])
    reached = hypervolume(front, reference)
    drawn = mean + deviation * rng.normal(size=(4_000, objectives))
    gains = [hypervolume(np.vstack([front, one]), reference) - reached for one in drawn]
    assert exact == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / np.sqrt(len(gains)))


@pytest.mark.parametrize("sign", [1, -1])
def test_it_agrees_with_sampling_where_a_logarithm_is_normal(sign: int) -> None:
    rng = np.random.default_rng(8)
    front, reference = sign + rng.random((5, 2)), np.full(2, sign - 1.5)
    mean, deviation = np.array([0.3, 0.2]), np.array([0.5, 0.4])
    improvement = HypervolumeImprovement(front, reference)
    warps, signs = (LOGARITHM, UNWARPED), (sign, 1)
    exact = improvement.log_values(
        [
            log_excess(Marginal(warp, way, mean[[[n]]], deviation[[[n]]]), edges)
            for n, (warp, way, edges) in enumerate(
                zip(warps, signs, improvement.edges, strict=True)
            )
        ]
    )
    reached = hypervolume(front, reference)
    modelled = mean + deviation * rng.normal(size=(4_000, 2))
    drawn = np.stack([sign * LOGARITHM.values(modelled[:, 0]), modelled[:, 1]], axis=1)
    gains = [hypervolume(np.vstack([front, one]), reference) - reached for one in drawn]
    wanted = pytest.approx(np.mean(gains), abs=4 * np.std(gains) / np.sqrt(len(gains)))
    assert np.exp(exact[0]) == wanted


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("distance", [0.0, 3.0, 40.0])
@pytest.mark.parametrize("warp", [UNWARPED, LOGARITHM])
@pytest.mark.parametrize("sign", [1, -1])
def test_gradients_are_those_of_the_values(
    objectives: int, distance: float, warp: Warp, sign: int
) -> None:
    """Near the front, and so far below it that the improvement itself is no float any more."""
    rng = np.random.default_rng(7)
    improvement = HypervolumeImprovement(
        sign * rng.random((6, objectives)), np.full(objectives, -2)
    )
    mean, deviation = sign * (rng.random(objectives) - distance), 0.2 + rng.random(objectives)

    def believed(at: np.ndarray) -> list[Marginal]:
        means, deviations = np.split(at, 2)
        return [
            Marginal(warp, sign, np.array(m), np.array(d))
            for m, d in zip(means, deviations, strict=True)
        ]

    def value_at(at: np.ndarray) -> float:
        each = zip(believed(at), improvement.edges, strict=True)
        return float(improvement.log_values([log_excess(one, e)[None] for one, e in each])[0])

    here = np.concatenate([mean, deviation])
    each = list(zip(believed(here), improvement.edges, strict=True))
    value, slopes = improvement.log_value_and_slopes(
        [log_excess(one, edges) for one, edges in each],
        [slopes_of_excess(one, edges) for one, edges in each],
    )
    assert value == pytest.approx(value_at(here))
    for number, slope in enumerate(slopes.T.ravel()):
        step = 1e-5 * np.eye(2 * objectives)[number]
        wanted = (value_at(here + step) - value_at(here - step)) / 2e-5
        assert slope == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_a_better_mean_is_never_worth_less() -> None:
    improvement = HypervolumeImprovement(np.array([[1.0, 0.0], [0.0, 1.0]]), np.full(2, -1.0))
    means = np.linspace(-100.0, 3.0, 60)[:, None] * np.ones(2)
    values = log_values(improvement, means, np.full_like(means, 0.3))
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
    value = np.exp(log_values(improvement, points, np.full((1, 3), 1e-6))[0])
    assert gain <= value < 2 * gain


def test_nothing_is_left_to_chance_where_nothing_is_uncertain() -> None:
    front, reference = np.array([[1.0, 0.5], [0.5, 1.0]]), np.zeros(2)
    improvement = HypervolumeImprovement(front, reference)
    point = np.array([[0.9, 0.9]])
    gain = hypervolume(np.vstack([front, point]), reference) - hypervolume(front, reference)
    value = log_values(improvement, point, np.full((1, 2), 1e-9))[0]
    assert np.exp(value) == pytest.approx(gain)
