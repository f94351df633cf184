import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.compression.patterns import PATTERNS, fits, pattern_mask, tile_of


@given(st.sampled_from(PATTERNS), st.floats(0, 1), st.integers(0, 2**31))
def test_every_pattern_drops_its_share_in_whole_tiles(pattern, sparsity, seed):
    scores = torch.rand(16, 24, generator=torch.Generator().manual_seed(seed))
    if pattern == "two_of_four":
        sparsity = 0.5
    mask = pattern_mask(pattern, scores, sparsity)
    height, width = tile_of(pattern)
    tile = height * width
    dropped = int((~mask).sum())
    assert abs(dropped - sparsity * mask.numel()) <= tile / 2 + 1e-6
    if pattern != "two_of_four":
        tiles = mask.view(16 // height, height, 24 // width, width).transpose(1, 2).flatten(2)
        assert (tiles.all(dim=2) | ~tiles.any(dim=2)).all()


def test_what_each_pattern_tiles():
    assert all(fits(pattern, 16, 8) for pattern in PATTERNS)
    assert [pattern for pattern in PATTERNS if fits(pattern, 8, 4)] == [
        "two_of_four",
        "unstructured",
        "block_8x1",
    ]
    assert [pattern for pattern in PATTERNS if fits(pattern, 5, 3)] == ["unstructured"]


def test_two_of_four_is_one_half():
    with pytest.raises(ValueError, match=r"one half, not 0\.6"):
        pattern_mask("two_of_four", torch.ones(2, 4), 0.6)
