import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.language.depth_pruned_llm.merging import slerp, slerp_weights

SHARES = st.floats(0.0, 1.0)
SEEDS = st.integers(0, 2**31)


def two_of(seed, shape=(3, 4)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


@given(SEEDS)
def test_the_ends_are_the_networks_themselves(seed):
    one, other = two_of(seed)
    assert torch.allclose(slerp(one, other, 0.0), one, atol=1e-6)
    assert torch.allclose(slerp(one, other, 1.0), other, atol=1e-6)


@given(SEEDS, SHARES)
def test_equal_lengths_are_kept_and_the_angle_is_shared_out(seed, share):
    one, other = (tensor / tensor.norm() for tensor in two_of(seed))
    merged = slerp(one, other, share).double()
    assert merged.norm().item() == pytest.approx(1.0, abs=1e-5)
    angle = math.acos(float((one * other).sum()))
    assert float((merged * one).sum()) == pytest.approx(math.cos(share * angle), abs=1e-5)
    assert float((merged * other).sum()) == pytest.approx(math.cos((1 - share) * angle), abs=1e-5)


@given(SEEDS, SHARES)
def test_it_does_not_matter_from_which_end_one_goes(seed, share):
    one, other = two_of(seed)
    assert torch.allclose(slerp(one, other, share), slerp(other, one, 1.0 - share), atol=1e-5)


@given(SEEDS, SHARES, st.sampled_from([0.0, 1.0, 2.5, -1.0]))
def test_in_one_line_the_way_is_straight(seed, share, factor):
    one, _ = two_of(seed)
    expected = (1.0 - share) * one + share * factor * one
    assert torch.allclose(slerp(one, factor * one, share), expected, atol=1e-5)


def test_halfway_on_a_right_angle():
    merged = slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    assert merged.tolist() == pytest.approx([math.sqrt(0.5), math.sqrt(0.5)])


def test_whole_networks_merge_tensor_by_tensor():
    one, other = two_of(0)
    count = torch.tensor(3)
    merged = slerp_weights({"a": one, "n": count}, {"a": other, "n": count}, 0.5)
    assert torch.equal(merged["a"], slerp(one, other, 0.5))
    assert torch.equal(merged["n"], count)
    assert merged["a"].dtype == torch.float32


def test_refuses_networks_of_other_shapes():
    one, _ = two_of(0)
    with pytest.raises(ValueError, match="differ in b"):
        slerp_weights({"a": one}, {"a": one, "b": one}, 0.5)
    with pytest.raises(ValueError, match="differ in a"):
        slerp_weights({"a": one}, {"a": one[:2]}, 0.5)
