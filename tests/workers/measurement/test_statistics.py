"""Quantiles and their bootstrap errors: exact properties, and coverage on known distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t

from workers.measurement.statistics import estimate_quantile, half_width_95

timings = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 12)),
    elements=st.floats(0.001, 1e6),
)
quantiles = st.sampled_from([0.5, 0.9, 0.99])


@given(timings, quantiles)
def test_the_value_is_numpys_quantile_of_all_timings(rounds: np.ndarray, quantile: float) -> None:
    estimate = estimate_quantile(rounds, quantile, seed=0, resamples=20)
    assert estimate.value == np.quantile(rounds, quantile)
    assert estimate.n == rounds.size
    assert 0 <= estimate.sem <= np.ptp(rounds) + 1e-9 * estimate.value


@given(timings, quantiles, st.floats(0.01, 100))
def test_it_scales_with_the_unit(rounds: np.ndarray, quantile: float, factor: float) -> None:
    one = estimate_quantile(rounds, quantile, seed=3, resamples=20)
    scaled = estimate_quantile(rounds * factor, quantile, seed=3, resamples=20)
    assert scaled.value == pytest.approx(one.value * factor)
    assert scaled.sem == pytest.approx(one.sem * factor, rel=1e-6, abs=1e-9 * scaled.value)
    assert scaled.relative_half_width == pytest.approx(one.relative_half_width, rel=1e-6, abs=1e-8)


@given(st.floats(0.001, 1e6), st.integers(1, 5), st.integers(1, 9))
def test_equal_timings_have_no_error(value: float, rounds: int, per_round: int) -> None:
    estimate = estimate_quantile(np.full((rounds, per_round), value), 0.5, seed=0, resamples=20)
    assert (estimate.value, estimate.relative_half_width) == (value, pytest.approx(0, abs=1e-12))


@given(timings, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_estimate(rounds: np.ndarray, seed: int) -> None:
    assert estimate_quantile(rounds, 0.5, seed, 20) == estimate_quantile(rounds, 0.5, seed, 20)


def test_large_arrays_are_resampled_in_parts() -> None:
    rounds = np.random.default_rng(0).normal(10, 1, (8, 3_000))
    assert estimate_quantile(rounds, 0.5, seed=0).sem == pytest.approx(
        1.2533 / np.sqrt(rounds.size), rel=0.5
    )


def test_the_error_of_independent_timings_is_the_textbooks() -> None:
    """The median of n normal values of deviation s has the standard error 1.2533 s / sqrt(n)."""
    random = np.random.default_rng(1)
    errors = [
        estimate_quantile(random.normal(100, 5, (1, 200)), 0.5, seed, 300).sem for seed in range(30)
    ]
    assert np.mean(errors) == pytest.approx(1.2533 * 5 / np.sqrt(200), rel=0.15)


def test_the_interval_covers_the_truth_although_rounds_differ() -> None:
    """Rounds that differ by 2 %, timings by 1 %: 19 of 20 intervals of 95 % hold the truth."""
    random = np.random.default_rng(2)
    covered = plainly_covered = 0
    for seed in range(200):
        rounds = 100 * (1 + random.normal(0, 0.02, (10, 1)) + random.normal(0, 0.01, (10, 8)))
        estimate = estimate_quantile(rounds, 0.5, seed, 200)
        covered += abs(estimate.value - 100) <= estimate.relative_half_width * estimate.value
        plain = estimate_quantile(rounds.reshape(1, -1), 0.5, seed, 200)
        plainly_covered += abs(plain.value - 100) <= 1.96 * plain.sem
    assert covered >= 0.92 * 200
    assert plainly_covered < 0.75 * 200


@pytest.mark.parametrize("freedom", [4, 7, 9, 14, 30, 200])
def test_few_rounds_widen_the_interval_as_student_says(freedom: int) -> None:
    exact = t.ppf(0.975, freedom)
    assert half_width_95(2.0, freedom) == pytest.approx(2 * exact, rel=0.01)
    if freedom >= 9:
        assert half_width_95(2.0, freedom) == pytest.approx(2 * exact, rel=0.001)


def test_without_rounds_to_compare_the_interval_is_the_normal_one() -> None:
    assert half_width_95(2.0, 0) == pytest.approx(2 * 1.96, rel=1e-3)


@pytest.mark.parametrize("rounds", [np.empty((0, 4)), np.empty((4, 0)), np.ones(4)])
def test_no_timings_are_refused(rounds: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least one timing"):
        estimate_quantile(rounds, 0.5, seed=0)


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        estimate_quantile(np.array([[1.0, np.nan]]), 0.5, seed=0)
