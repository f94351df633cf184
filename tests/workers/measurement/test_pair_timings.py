"""Which rounds count, and what error they tell."""

import numpy as np
import pytest

from workers.measurement.pair_timings import crossed, median_ratio, rounds_that_count

NOBODY_KNOWS = np.full(10, np.nan)


def references(*round_ns: float) -> np.ndarray:
    return np.outer(round_ns, np.ones(8))


def test_all_count_where_nothing_is_slow() -> None:
    counting = rounds_that_count(references(*[100.0] * 10), NOBODY_KNOWS, np.nan, 8)
    assert counting.all()


def test_rounds_on_slow_cores_do_not() -> None:
    paces_ns = np.array([60.0, 65, 71, 73, 90, 60, 60, 60, 60, 60])
    counting = rounds_that_count(references(*[100.0] * 10), paces_ns, 60.0, 8)
    assert (~counting).nonzero()[0].tolist() == [3, 4]


def test_where_too_few_are_calm_the_calmest_count() -> None:
    paces_ns = np.array([80.0, 81, 82, 60, 83, 84, 120, 130, 140, 150])
    counting = rounds_that_count(references(*[100.0] * 10), paces_ns, 60.0, 6)
    # As though the sixth of them were calm, and those about as quick.
    assert counting.nonzero()[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_of_them_those_with_a_slow_reference_do_not() -> None:
    reference_ns = references(100, 101, 102, 100, 114, 120, 100, 100, 60, 60)
    paces_ns = np.array([60.0] * 8 + [90.0] * 2)
    counting = rounds_that_count(reference_ns, paces_ns, 60.0, 2)
    # Measured by the quick ones among those that are calm.
    assert (~counting).nonzero()[0].tolist() == [5, 8, 9]


def test_the_error_is_that_of_spells_and_not_of_rounds() -> None:
    """A machine that changes every twenty rounds: they are no twenty independent draws."""
    random = np.random.default_rng(0)
    spells = 1 + 0.02 * random.standard_normal(8)
    rounds = np.repeat(spells, 20)[:, None] * (1 + 0.001 * random.standard_normal((160, 8)))
    steady = 1 + 0.02 * random.standard_normal(160)[:, None] * np.ones((160, 8))
    assert median_ratio(rounds, 0).sem > 3 * median_ratio(steady, 0).sem
    assert median_ratio(rounds, 0).sem == pytest.approx(0.02 / 8**0.5, rel=0.6)


def test_no_pair_is_dropped_where_spells_are_unequal() -> None:
    ratios = np.random.default_rng(1).uniform(1, 2, (19, 8))
    estimate = median_ratio(ratios, 0)
    assert estimate.value == np.median(crossed(ratios))
    assert (estimate.n, estimate.rounds) == (152, 9)
