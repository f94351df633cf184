"""The logarithm of a metric: its inverse, its slopes, and what it makes of a direction."""

import numpy as np
import pytest

from service.optimizer.gaussian_process.covariance import Columns
from service.optimizer.gaussian_process.ensemble import FAMILIES, fit_ensemble
from service.optimizer.gaussian_process.noise import Noise
from service.optimizer.gaussian_process.process import Training
from service.optimizer.gaussian_process.warp import UNWARPED, Warp

VALUES = np.array([-1.0, -0.5, 0.2, 0.9, 3.0])
FLOOR = -1.4
EVERY_WARP = (UNWARPED, Warp(FLOOR, centre=0.3, scale=0.8))


@pytest.mark.parametrize("warp", EVERY_WARP)
def test_what_is_modelled_gives_the_values_back(warp: Warp) -> None:
    np.testing.assert_allclose(warp.values(warp.modelled(VALUES)), VALUES)


def test_the_logarithm_is_standardised() -> None:
    warp = Warp.logarithm(VALUES, FLOOR)
    assert warp is not None
    modelled = warp.modelled(VALUES)
    assert modelled.mean() == pytest.approx(0.0)
    assert modelled.std() == pytest.approx(1.0)


@pytest.mark.parametrize("values", [[-2.0, 1.0], [0.5, 0.5], [0.5]])
def test_there_is_none_of_negative_values_or_where_all_are_alike(values: list[float]) -> None:
    assert Warp.logarithm(np.array(values), FLOOR) is None


def test_values_next_to_zero_are_hardly_told_apart() -> None:
    warp = Warp.logarithm(FLOOR + np.array([0.0, 1e-12, 1e-4, 0.5, 1.0, 3.0]), FLOOR)
    assert warp is not None
    low, lower, lowest = warp.modelled(FLOOR + np.array([1e-4, 1e-12, 0.0]))
    assert lowest <= lower < low < lowest + 0.01


def test_a_value_that_cannot_be_is_far_below_all_others() -> None:
    warp = EVERY_WARP[1]
    below = warp.modelled(np.array([FLOOR, FLOOR - 1.0]))
    assert np.all(np.isfinite(below))
    assert below.max() < warp.modelled(np.array(FLOOR + 1e-9))


@pytest.mark.parametrize("warp", EVERY_WARP)
def test_densities_of_both_sides_belong_together(warp: Warp) -> None:
    """A normal density of what is modelled, as a density of values, still sums to one."""
    values = np.linspace(FLOOR + 1e-6, 60.0, 400_001) if warp.floor else np.linspace(-9, 9, 9_001)
    modelled = warp.modelled(values)
    logs = -0.5 * modelled**2 - 0.5 * np.log(2 * np.pi)
    slopes = np.array([warp.log_slope(modelled[[n]], np.ones(1)) for n in (0, 7, len(values) - 1)])
    np.testing.assert_allclose(slopes, -np.log(warp.slopes(modelled))[[0, 7, -1]])
    density = np.exp(logs) / warp.slopes(modelled)
    assert np.trapezoid(density, values) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("is_product", [True, False])
def test_the_logarithm_is_modelled_where_it_predicts_better(is_product: bool) -> None:
    """Of values that multiply what the axes do; not of those that add it up."""
    features = np.random.default_rng(0).random((30, 4))
    sums = 5.0 + features @ np.linspace(1.0, 2.0, 4)
    own = np.exp(1.5 * sums) if is_product else sums
    values, zero = (own - own.mean()) / own.std(), -own.mean() / own.std()
    columns = Columns(np.arange(4), np.ones(4, dtype=bool))
    logarithm = Warp.logarithm(values, zero)
    assert logarithm is not None
    trainings = [
        Training(columns, features, warp.modelled(values), Noise.none(30), warp=warp)
        for warp in (UNWARPED, logarithm)
    ]
    members = fit_ensemble(trainings, FAMILIES, 8)
    assert {member.warp == logarithm for member in members} == {is_product}
