"""The logarithm of a metric: its inverse, its slopes, and what it makes of a direction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.optimizer.gaussian_process.ensemble import FAMILIES, fit_ensemble
from service.optimizer.gaussian_process.noise import Noise
from service.optimizer.gaussian_process.process import Columns, Training
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


@given(
    warp=st.sampled_from(EVERY_WARP),
    mean=st.floats(-4, 4),
    deviation=st.floats(1e-3, 3),
    sign=st.sampled_from([1, -1]),
)
def test_the_slopes_are_those_of_the_chance(
    warp: Warp, mean: float, deviation: float, sign: int
) -> None:
    chance = warp.chance(np.array(mean), np.array(deviation), sign)
    one_off = warp.values(np.array(mean + sign * deviation))
    assert sign * (one_off - chance.value) == pytest.approx(chance.deviation, rel=1e-6, abs=1e-5)

    def numerical(by_mean: float, by_deviation: float) -> tuple[float, float]:
        step = 1e-6
        high, low = (
            warp.chance(
                np.array(mean + way * by_mean), np.array(deviation + way * by_deviation), sign
            )
            for way in (step, -step)
        )
        return (
            float(high.value - low.value) / (2 * step),
            float(high.deviation - low.deviation) / (2 * step),
        )

    by_mean, by_deviation = numerical(1.0, 0.0), numerical(0.0, 1.0)
    assert chance.value_slope == pytest.approx(by_mean[0], rel=1e-4, abs=1e-6)
    assert chance.deviation_by_mean == pytest.approx(by_mean[1], rel=1e-4, abs=1e-6)
    assert by_deviation[0] == 0.0
    assert chance.deviation_by_deviation == pytest.approx(by_deviation[1], rel=1e-4, abs=1e-6)


def test_a_skewed_value_falls_less_than_it_may_rise_and_never_to_the_floor() -> None:
    warp, mean = EVERY_WARP[1], np.array(0.0)
    up, down = (warp.chance(mean, np.array(2.0), sign) for sign in (1, -1))
    assert up.deviation > 3 * down.deviation
    assert down.value - down.deviation > FLOOR


def test_numbers_beyond_all_measure_stay_finite() -> None:
    warp = EVERY_WARP[1]
    for mean in (-1e4, 1e4):
        for sign in (1, -1):
            chance = warp.chance(np.array(mean), np.array(5.0), sign)
            assert all(np.isfinite(part) for part in chance)
            assert chance.deviation > 0


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
