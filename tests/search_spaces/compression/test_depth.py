import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.compression.depth import angular_distances, layers_to_drop


def states_of(seed, layers, places=7, width=5):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(places, width, generator=generator) for _ in range(layers + 1)]


@given(st.integers(0, 2**31), st.integers(1, 6), st.data())
def test_distances_are_angles_between_the_ends(seed, layers, data):
    block = data.draw(st.integers(1, layers))
    states = states_of(seed, layers)
    distances = angular_distances(states, block)
    assert len(distances) == layers - block + 1
    assert ((distances >= 0) & (distances <= 1)).all()
    scaled = [state * 3.0 for state in states]
    assert torch.allclose(angular_distances(scaled, block), distances, atol=1e-6)


def test_right_angles_are_one_half():
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert angular_distances([x, y, -x, x], 1).tolist() == pytest.approx([0.5, 0.5, 1.0])
    assert angular_distances([x, y, -x, x], 3).tolist() == pytest.approx([0.0], abs=1e-6)


@given(
    st.sampled_from(["angular", "alternate", "last"]),
    st.integers(1, 12),
    st.integers(0, 2**31),
    st.data(),
)
def test_drops_as_many_as_asked_and_leaves_one(criterion, layers, seed, data):
    count = data.draw(st.integers(0, layers - 1))
    dropped = layers_to_drop(criterion, count, states_of(seed, layers))
    assert len(dropped) == count
    assert dropped == sorted(set(dropped))
    assert all(0 <= layer < layers for layer in dropped)


def test_angular_finds_the_layers_that_do_nothing():
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    states = [torch.tensor([[1.0, 0.0], [0.0, 1.0]])]
    for idle in (False, True, True, False):
        states.append(states[-1] if idle else states[-1] @ turn)
    assert layers_to_drop("angular", 2, states) == [1, 2]
    assert math.isclose(float(angular_distances(states, 2)[1]), 0.0, abs_tol=1e-6)


def test_alternate_and_last_look_at_the_count_alone():
    states = states_of(0, 6)
    assert layers_to_drop("alternate", 3, states) == [1, 3, 5]
    assert layers_to_drop("last", 2, states) == [4, 5]


def test_refuses_to_drop_them_all():
    with pytest.raises(ValueError, match="cannot drop 2 of 2 layers"):
        layers_to_drop("last", 2, states_of(0, 2))
    with pytest.raises(ValueError, match=r"block must lie in \[1, 2\]"):
        angular_distances(states_of(0, 2), 3)
