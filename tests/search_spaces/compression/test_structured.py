import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.compression.structured import (
    head_rows,
    head_scores,
    kept_count,
    largest,
    neuron_scores,
)


@given(st.integers(1, 1000), st.floats(0, 0.999))
def test_keeps_the_asked_share_and_at_least_one(total, sparsity):
    kept = kept_count(total, sparsity)
    assert 1 <= kept <= total
    assert kept == 1 or abs(kept - total * (1 - sparsity)) <= 0.5


@pytest.mark.parametrize("sparsity", [1.0, -0.5, float("nan")])
def test_refuses_to_keep_nothing(sparsity):
    with pytest.raises(ValueError, match="sparsity must lie in"):
        kept_count(8, sparsity)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20), st.data())
def test_largest_are_the_largest_in_rising_order(scores, data):
    count = data.draw(st.integers(1, len(scores)))
    vector = torch.tensor(scores, dtype=torch.float64)
    kept = largest(vector, count).tolist()
    assert kept == sorted(set(kept))
    rest = [score for place, score in enumerate(vector.tolist()) if place not in kept]
    assert not rest or min(vector[kept].tolist()) >= max(rest)


def test_largest_refuses_more_than_there_are():
    with pytest.raises(ValueError, match="cannot keep 3 of 2"):
        largest(torch.ones(2), 3)


@given(st.floats(0.1, 10), st.integers(0, 2**31))
def test_neuron_scores_do_not_see_a_rescaling_between_the_two_sides(scale, seed):
    generator = torch.Generator().manual_seed(seed)
    incoming = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    outgoing = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    scores = neuron_scores(incoming, outgoing)
    assert torch.allclose(neuron_scores(incoming * scale, outgoing / scale), scores)


def test_a_neuron_or_head_that_does_nothing_scores_zero():
    incoming, outgoing = torch.ones(3, 2), torch.ones(2, 3)
    outgoing[:, 1] = 0
    assert neuron_scores(incoming, outgoing).tolist() == pytest.approx([2.0, 0.0, 2.0])
    value, output = torch.ones(6, 4), torch.ones(4, 6)
    value[2:4] = 0  # head 1 of 3, two rows each
    assert head_scores(value, output, heads=3)[1] == 0
    assert (head_scores(value, output, heads=3)[[0, 2]] > 0).all()
    output[:, 4:] = 0  # head 2 is not read
    assert (head_scores(value, output, heads=3) > 0).tolist() == [True, False, False]


def test_head_rows_are_those_of_the_heads():
    assert head_rows(torch.tensor([0, 2]), 3).tolist() == [0, 1, 2, 6, 7, 8]
