"""The kernel, the terms of a trend, and what their slopes say of them."""

import numpy as np
import pytest

from service.optimizer.gaussian_process.covariance import (
    Columns,
    Family,
    Hyperparameters,
    correlation,
    squared_distances,
)

COLUMNS = Columns(np.array([0, 1, 1, 2]), np.array([True, False, False, True]))
FAMILIES = [
    Family(kernel, has_trend=trend) for kernel in ("rbf", "matern52") for trend in (False, True)
]
STEP = 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_falls_from_one_as_its_slope_says(family: Family) -> None:
    squared = np.array([0.0, 0.3, 2.0, 9.0])
    values, slopes = correlation(family, squared)
    assert values[0] == 1.0
    assert np.all(np.diff(values) < 0)
    ahead = correlation(family, squared[1:] + STEP)[0] - correlation(family, squared[1:] - STEP)[0]
    assert slopes[1:] == pytest.approx(ahead / (2 * STEP), rel=1e-6)


def test_distances_are_those_between_rows() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    wanted = [[np.sum((a - b) ** 2) for b in other] for a in one]
    assert squared_distances(one, other) == pytest.approx(np.array(wanted))
    assert np.diag(squared_distances(one, one)) == pytest.approx(np.zeros(4), abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trend_has_a_constant_and_the_polynomials(family: Family) -> None:
    point = np.array([0.2, 1.0, 0.0, 0.9])
    terms = COLUMNS.terms(family, point[None])[0]
    assert len(terms) == 1 + COLUMNS.term_count(family) == (7 if family.has_trend else 1)
    slopes = COLUMNS.term_slopes(family, point)
    for column, step in enumerate(STEP * np.eye(len(point))):
        ahead, behind = COLUMNS.terms(family, np.array([point + step, point - step]))
        assert slopes[:, column] == pytest.approx((ahead - behind) / (2 * STEP), abs=1e-8)


def test_hyperparameters_are_one_row_and_back() -> None:
    family = Family("rbf", has_trend=True)
    vector = np.arange(3 + 2 + COLUMNS.term_count(family) + COLUMNS.bend_count, dtype=float)
    given = Hyperparameters.of(family, COLUMNS, vector)
    assert (given.log_signal_variance, given.log_noise_variance) == (3.0, 4.0)
    assert given.vector.tolist() == vector.tolist()
    assert COLUMNS.bends(given.bends).tolist() == [11.0, 0.0, 0.0, 12.0]
