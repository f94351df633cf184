"""The trend test is exact, and the series that it lets pass have settled."""

from itertools import count, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from workers.measurement.stationarity import (
    LEVEL,
    WINDOW,
    take_until_settled,
    trend_probability,
)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9, unique=True))
def test_it_is_kendalls_exact_test_against_time(values: list[float]) -> None:
    expected = kendalltau(range(len(values)), values, method="exact").pvalue
    assert trend_probability(values) == pytest.approx(expected)


def test_chance_orders_are_taken_for_trends_as_rarely_as_is_said() -> None:
    orders = list(permutations(range(WINDOW)))
    rejected = sum(trend_probability(order) < LEVEL for order in orders)
    assert 0.03 < rejected / len(orders) < LEVEL


@pytest.mark.parametrize("values", [[], [1.0], [3.0] * 9, [1.0, 1.0, 2.0]])
def test_ties_and_too_few_values_show_no_trend(values: list[float]) -> None:
    assert trend_probability(values) > LEVEL


def test_a_steady_series_has_settled_at_once() -> None:
    settling = take_until_settled(lambda: 1.0, most=60)
    assert (len(settling.values), settling.has_settled) == (WINDOW, True)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_series_is_followed_until_its_fall_is_lost_in_its_noise(noise: float) -> None:
    random = np.random.default_rng(0)
    taken = []
    for _ in range(50):
        falling = (1 + max(0.0, 1 - index / 12) for index in count())
        settling = take_until_settled(
            lambda values=falling: next(values) + noise * random.standard_normal(), most=60
        )
        assert settling.has_settled
        taken.append(len(settling.values))
        assert np.median(settling.window) < 1.1
    assert np.mean(taken) >= 14


def test_what_never_settles_is_given_up() -> None:
    index = count()
    settling = take_until_settled(lambda: float(next(index)), most=20)
    assert (len(settling.values), settling.has_settled) == (20, False)
    assert settling.window == (14, 15, 16, 17, 18, 19)


def test_too_few_values_for_the_test_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 6 values"):
        take_until_settled(lambda: 1.0, most=5)
