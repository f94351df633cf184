import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.compression.masks import block_mask, two_of_four_mask, unstructured_mask

sparsities = st.floats(0, 1)
seeds = st.integers(0, 2**31)


def weight_of(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(seeds, sparsities, st.integers(1, 9), st.integers(1, 9))
def test_unstructured_keeps_the_largest(seed, sparsity, rows, columns):
    weight = weight_of(seed, rows, columns)
    mask = unstructured_mask(weight, sparsity)
    assert mask.shape == weight.shape
    assert int((~mask).sum()) == round(sparsity * weight.numel())
    kept, dropped = weight[mask].abs(), weight[~mask].abs()
    if len(kept) and len(dropped):
        assert kept.min() >= dropped.max()


@given(seeds, sparsities, sparsities)
def test_unstructured_masks_are_nested(seed, one, other):
    weight = weight_of(seed, 6, 7)
    denser = unstructured_mask(weight, min(one, other))
    sparser = unstructured_mask(weight, max(one, other))
    assert not (sparser & ~denser).any()


@given(seeds, sparsities)
def test_masking_twice_changes_nothing(seed, sparsity):
    weight = weight_of(seed, 8, 8)
    mask = unstructured_mask(weight, sparsity)
    assert torch.equal(unstructured_mask(weight * mask, sparsity), mask)


def test_among_equals_the_first_stay():
    assert unstructured_mask(torch.ones(2, 2), 0.5).tolist() == [[True, True], [False, False]]


@given(seeds, sparsities, st.sampled_from([(1, 1), (1, 4), (2, 2), (4, 1), (4, 8)]))
def test_blocks_stay_or_go_whole(seed, sparsity, block):
    weight = weight_of(seed, 8, 16)
    mask = block_mask(weight, sparsity, block)
    height, width = block
    tiles = mask.view(8 // height, height, 16 // width, width).transpose(1, 2).flatten(2)
    assert (tiles.all(dim=2) | (~tiles).all(dim=2)).all()
    count = tiles.shape[0] * tiles.shape[1]
    assert int(tiles.all(dim=2).sum()) == count - round(sparsity * count)
    norms = weight.abs().view(8 // height, height, 16 // width, width).sum(dim=(1, 3))
    kept = tiles.all(dim=2)
    if kept.any() and not kept.all():
        assert norms[kept].min() >= norms[~kept].max()


@given(seeds, sparsities)
def test_blocks_of_one_are_unstructured(seed, sparsity):
    weight = weight_of(seed, 5, 7)
    assert torch.equal(block_mask(weight, sparsity, (1, 1)), unstructured_mask(weight, sparsity))


@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_two_of_four_keeps_the_two_largest_of_each_four(seed, rows, fours):
    weight = weight_of(seed, rows, 4 * fours)
    mask = two_of_four_mask(weight)
    grouped, magnitudes = mask.view(-1, 4), weight.abs().view(-1, 4)
    assert (grouped.sum(dim=1) == 2).all()
    for kept, magnitude in zip(grouped, magnitudes, strict=True):
        assert magnitude[kept].min() >= magnitude[~kept].max()


@pytest.mark.parametrize("sparsity", [-0.1, 1.1, float("nan")])
def test_refuses_an_impossible_sparsity(sparsity):
    with pytest.raises(ValueError, match="sparsity must lie in"):
        unstructured_mask(torch.ones(2, 2), sparsity)


def test_refuses_what_the_pattern_does_not_tile():
    with pytest.raises(ValueError, match="do not tile a weight of 3 x 4"):
        block_mask(torch.ones(3, 4), 0.5, (2, 2))
    with pytest.raises(ValueError, match="divisible by 4, got 6"):
        two_of_four_mask(torch.ones(3, 6))
