"""The learnt scale of an axis: its ends, its special cases and its slopes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.optimizer.gaussian_process.bend import bent, slopes_by_bend, slopes_by_feature
from service.optimizer.gaussian_process.covariance import Columns, Family
from service.optimizer.gaussian_process.ensemble import FAMILIES, MANY_AXES, families_for
from service.optimizer.gaussian_process.fit import Likelihood, Prior
from service.optimizer.gaussian_process.noise import Noise
from service.optimizer.gaussian_process.process import Training

UNIT = np.linspace(0.0, 1.0, 11)[:, np.newaxis]
bends = st.floats(-6.0, 6.0)


@given(bends)
def test_a_scale_keeps_its_ends_and_its_order(bend: float) -> None:
    scaled = bent(UNIT, np.array([bend]))[:, 0]
    assert scaled[[0, -1]] == pytest.approx([0.0, 1.0])
    assert np.all(np.diff(scaled) > 0)


def test_without_a_bend_an_axis_stays_as_it_is() -> None:
    np.testing.assert_array_equal(bent(UNIT, np.zeros(1)), UNIT)


def test_the_bend_of_a_ranges_ratio_is_its_logarithmic_scale() -> None:
    low, high = 2.0, 64.0
    values = low + UNIT * (high - low)
    wanted = np.log(values / low) / np.log(high / low)
    np.testing.assert_allclose(bent(UNIT, np.array([np.log(high / low)])), wanted)


@given(bends)
def test_a_negative_bend_is_the_same_from_the_other_end(bend: float) -> None:
    there = bent(1.0 - UNIT, np.array([-bend]))
    np.testing.assert_allclose(bent(UNIT, np.array([bend])), 1.0 - there, atol=1e-9)


@given(bends | st.floats(-2e-4, 2e-4))
def test_slopes_are_those_of_the_scale(bend: float) -> None:
    inner, k, step = UNIT[1:-1], np.array([bend]), 1e-5
    by_feature = (bent(inner + step, k) - bent(inner - step, k)) / (2 * step)
    np.testing.assert_allclose(slopes_by_feature(inner, k), by_feature, rtol=1e-3)
    by_bend = (bent(inner, k + 1e-3) - bent(inner, k - 1e-3)) / 2e-3
    np.testing.assert_allclose(slopes_by_bend(inner, k), by_bend, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("family", [FAMILIES[0], *families_for(MANY_AXES)])
def test_a_fit_finds_the_scale_on_which_a_metric_is_simple(family: Family) -> None:
    """A wave whose length grows thirtyfold along the first axis."""
    rng = np.random.default_rng(0)
    features = rng.random((40, 2))
    values = np.sin(8.0 * np.log(1.0 + 30.0 * features[:, 0]) / np.log(31.0))
    columns = Columns(np.arange(2), np.ones(2, dtype=bool))
    likelihood = Likelihood(family, Training(columns, features, values, Noise.none(40)))
    prior = Prior.of(family, columns)
    climbs = [likelihood.minimise(prior, start, 100) for start in likelihood.starts()]
    vector, _ = min(climbs, key=lambda climb: climb[1])
    first, _ = likelihood.process(vector).hyperparameters.bends
    assert first == pytest.approx(np.log(31.0), abs=1.2)
