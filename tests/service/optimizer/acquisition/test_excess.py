"""The expected excess over a threshold, against integrals and differences, and far out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad  # type: ignore[import-untyped]
from scipy.stats import norm  # type: ignore[import-untyped]

from service.optimizer.acquisition.excess import Marginal, log_excess, slopes_of_excess
from service.optimizer.gaussian_process.warp import UNWARPED, Warp

FLOOR = -1.4
WARPS = (UNWARPED, Warp(FLOOR, centre=0.3, scale=0.8))
THRESHOLDS = (-3.0, FLOOR - 0.01, FLOOR + 0.01, -0.5, 0.3, 1.5, 4.0)
each_warp = pytest.mark.parametrize("warp", WARPS)
each_sign = pytest.mark.parametrize("sign", [1, -1])


def excess(warp: Warp, sign: int, mean: float, deviation: float, threshold: float) -> float:
    believed = Marginal(warp, sign, np.array(mean), np.array(deviation))
    return float(log_excess(believed, np.array(threshold)))


@each_warp
@each_sign
@pytest.mark.parametrize("mean", [-1.0, 0.5, 2.0])
@pytest.mark.parametrize("deviation", [1e-6, 1e-3, 0.1, 1.0, 3.0])
def test_it_is_the_integral(warp: Warp, sign: int, mean: float, deviation: float) -> None:
    for threshold in THRESHOLDS:

        def integrand(score: float, threshold: float = threshold) -> float:
            value = float(warp.values(np.array(mean + deviation * score)))
            return float(max(sign * value - threshold, 0.0) * norm.pdf(score))

        kink = (float(warp.modelled(np.array(sign * threshold))) - mean) / deviation
        points = [kink] if -12.0 < kink < 14.0 else None
        wanted, _ = quad(integrand, -12.0, 14.0, points=points, limit=400, epsabs=1e-14)
        found = np.exp(excess(warp, sign, mean, deviation, threshold))
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-8)


@given(
    warp=st.sampled_from(WARPS),
    sign=st.sampled_from([1, -1]),
    mean=st.floats(-3, 3),
    deviation=st.floats(1e-2, 3),
    threshold=st.floats(-4, 4),
)
def test_slopes_are_those_of_the_excess(
    warp: Warp, sign: int, mean: float, deviation: float, threshold: float
) -> None:
    """Of its logarithm: the excess itself may be no float any more."""
    believed = Marginal(warp, sign, np.array(mean), np.array(deviation))
    here, step = excess(warp, sign, mean, deviation, threshold), 1e-6
    slopes = slopes_of_excess(believed, np.array(threshold))
    for terms, (by_mean, by_deviation) in zip(slopes, ((step, 0.0), (0.0, step)), strict=True):
        high, low = (
            excess(warp, sign, mean + way * by_mean, deviation + way * by_deviation, threshold)
            for way in (1, -1)
        )
        found = sum(term.sign * np.exp(term.log - here) for term in terms)
        assert found == pytest.approx((high - low) / (2 * step), rel=2e-3, abs=1e-4)


@each_warp
@each_sign
@pytest.mark.parametrize("deviation", [1e-12, 1e-6, 0.1, 10.0])
def test_far_out_it_stays_finite_and_falls_with_the_threshold(
    warp: Warp, sign: int, deviation: float
) -> None:
    means = np.linspace(-500.0, 500.0, 2_001)[:, None]
    believed = Marginal(warp, sign, means, np.full_like(means, deviation))
    thresholds = np.linspace(-5.0, 5.0, 41)
    values = log_excess(believed, thresholds)
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values, axis=1) <= 1e-9)
    for terms in slopes_of_excess(believed, thresholds):
        assert not any(np.isnan(term.log).any() for term in terms)
