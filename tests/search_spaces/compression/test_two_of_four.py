import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.compression.masks import two_of_four_mask
from search_spaces.compression.two_of_four import (
    NotTwoOfFour,
    is_two_of_four,
    pack,
    require_two_of_four,
    unpack,
)


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 7), st.floats(0, 1))
def test_packing_loses_nothing(seed, rows, fours, more_zeros):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, 4 * fours, generator=generator)
    weight = weight * two_of_four_mask(weight)
    weight = weight * (torch.rand(weight.shape, generator=generator) >= more_zeros)
    assert is_two_of_four(weight)
    packed = pack(weight)
    assert packed.values.shape == (rows, 2 * fours)
    assert torch.equal(unpack(packed), weight)
    places = -(-rows * fours // 2)  # half a byte for each group
    assert packed.size_bytes == 4 * 2 * rows * fours + places


def test_sixteen_bits_take_nine_sixteenths():
    weight = torch.randn(16, 32)
    packed = pack((weight * two_of_four_mask(weight)).half())
    assert packed.size_bytes == 16 * 32 * 2 * 9 // 16


def test_places_are_as_the_docstring_says():
    packed = pack(torch.tensor([[0.0, 7.0, 0.0, 8.0, 5.0, 0.0, 6.0, 0.0]]))
    assert packed.values.tolist() == [[7.0, 8.0, 5.0, 6.0]]
    assert packed.places.tolist() == [0b10_00_11_01]


def test_three_of_four_are_noticed_anywhere():
    weight = torch.zeros(3, 8)
    weight[2, 5:8] = 1.0
    assert not is_two_of_four(weight)
    assert is_two_of_four(weight[:2])
    assert not is_two_of_four(torch.zeros(2, 6))
    with pytest.raises(NotTwoOfFour, match=r"b is not 2:4 along its last axis of 8"):
        require_two_of_four([("a", weight[:2]), ("b", weight)])
    with pytest.raises(NotTwoOfFour):
        pack(weight)
