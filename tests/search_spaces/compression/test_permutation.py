import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.compression.masks import two_of_four_mask
from search_spaces.compression.permutation import find_permutation, kept_magnitude


def scores_of(seed, rows, channels):
    return torch.rand(rows, channels, generator=torch.Generator().manual_seed(seed))


def generator():
    return torch.Generator().manual_seed(0)


def test_kept_magnitude_is_that_of_the_mask():
    scores = scores_of(0, 5, 16)
    assert kept_magnitude(scores) == pytest.approx(float(scores[two_of_four_mask(scores)].sum()))


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 6), st.integers(0, 20))
def test_an_order_of_all_channels_that_never_keeps_less(seed, rows, fours, max_swaps):
    scores = scores_of(seed, rows, 4 * fours)
    order = find_permutation(scores, generator(), max_swaps)
    assert sorted(order.tolist()) == list(range(4 * fours))
    assert kept_magnitude(scores[:, order]) >= kept_magnitude(scores) - 1e-6


def test_finds_the_best_order_of_eight_channels_nearly():
    """Against all 35 ways to deal eight channels into two groups; greedily near the best."""
    for seed in range(5):
        scores = scores_of(seed, 4, 8)
        best = max(
            kept_magnitude(scores[:, [*four, *(other for other in range(8) if other not in four)]])
            for four in itertools.combinations(range(8), 4)
        )
        found = kept_magnitude(scores[:, find_permutation(scores, generator())])
        assert found == pytest.approx(best, rel=0.01)


def test_separates_large_channels_that_stand_together():
    scores = torch.full((6, 16), 0.01)
    scores[:, :8] = 1.0  # in order half of them would go
    order = find_permutation(scores, generator())
    assert kept_magnitude(scores) == pytest.approx(6 * (4 + 4 * 0.01))
    assert kept_magnitude(scores[:, order]) == pytest.approx(48.0)


def test_is_a_function_of_scores_and_seed_and_needs_fours():
    scores = scores_of(3, 8, 32)
    assert torch.equal(find_permutation(scores, generator()), find_permutation(scores, generator()))
    with pytest.raises(ValueError, match="divisible by 4, got 6"):
        find_permutation(torch.ones(2, 6), generator())
