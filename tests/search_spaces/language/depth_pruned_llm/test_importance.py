from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.compression.depth import angular_distances
from search_spaces.language.depth_pruned_llm.decoder_blocks import decoder_blocks
from search_spaces.language.depth_pruned_llm.importance import (
    all_tokens,
    block_influences,
    blocks_to_remove,
    border_states,
    last_token,
)
from tests.search_spaces.language.depth_pruned_llm.families import VOCABULARY, tiny

FAMILIES = ["llama", "gpt2", "gpt_neox", "qwen2"]


def states_of(seed, blocks, texts=3, length=4, width=5):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(texts, length, width, generator=generator) for _ in range(blocks + 1)]


@pytest.mark.parametrize("family", FAMILIES)
def test_one_pass_gives_every_border_and_the_last_before_the_final_norm(family):
    network, tokens = tiny(family), torch.randint(3, VOCABULARY, (3, 6))
    passes = []
    hook = network.register_forward_hook(lambda *_: passes.append(1))
    states = border_states(network, tokens.split(2))
    hook.remove()
    assert len(passes) == 2
    assert [state.shape for state in states] == [(3, 6, 16)] * 6
    assert not any(block._forward_hooks for block in decoder_blocks(network))
    assert not any(block._forward_pre_hooks for block in decoder_blocks(network))
    with torch.no_grad():
        returned = network(input_ids=tokens, output_hidden_states=True).hidden_states
    for state, same in zip(states[:-1], returned[:-1], strict=True):
        assert torch.allclose(state, same, atol=1e-5)
    assert not torch.allclose(states[-1], returned[-1], atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_block_that_does_nothing_is_found(family):
    network = tiny(family)
    block = decoder_blocks(network)[3]
    with torch.no_grad():
        for name, weight in block.named_parameters():
            if any(out in name for out in ("o_proj", "down_proj", "c_proj", "dense")):
                weight.zero_()
    states = border_states(network, [torch.randint(3, VOCABULARY, (4, 6))])
    assert blocks_to_remove("angular", 1, states) == (3,)
    assert blocks_to_remove("block_influence", 1, states) == (3,)


@given(st.integers(0, 2**31), st.integers(1, 6))
def test_influences_are_one_minus_the_cosine(seed, blocks):
    states = all_tokens(states_of(seed, blocks))
    influences = block_influences(states)
    assert influences.shape == (blocks,)
    assert ((influences >= 0) & (influences <= 2)).all()
    assert torch.allclose(block_influences([3.0 * state for state in states]), influences)
    # of one row the angle is the same figure: BI = 1 - cos(pi d)
    one_row = [state[:1] for state in states]
    angles = torch.pi * angular_distances(one_row, 1)
    assert torch.allclose(block_influences(one_row), 1.0 - angles.cos(), atol=1e-6)


@given(
    st.sampled_from(["angular", "block_influence", "last"]),
    st.integers(1, 8),
    st.integers(0, 2**31),
    st.data(),
)
def test_removes_as_many_as_asked_and_leaves_one(criterion, blocks, seed, data):
    count = data.draw(st.integers(0, blocks - 1))
    removed = blocks_to_remove(criterion, count, states_of(seed, blocks))
    assert len(removed) == count
    assert list(removed) == sorted(set(removed))
    assert all(0 <= number < blocks for number in removed)
    if criterion != "block_influence" and count:
        assert removed == tuple(range(removed[0], removed[0] + count))


@given(st.integers(1, 8), st.integers(0, 2**31))
def test_more_removed_blocks_of_least_influence_hold_the_fewer(blocks, seed):
    states = states_of(seed, blocks)
    chosen = [set(blocks_to_remove("block_influence", n, states)) for n in range(blocks)]
    assert all(fewer < more for fewer, more in pairwise(chosen))


def test_angular_looks_at_the_last_token_and_influence_at_all():
    states = states_of(0, 4)
    changed = [state.clone() for state in states]
    for state in changed:
        state[:, :-1] = torch.randn_like(state[:, :-1])
    assert torch.equal(
        angular_distances(last_token(states), 2), angular_distances(last_token(changed), 2)
    )
    assert not torch.equal(
        block_influences(all_tokens(states)), block_influences(all_tokens(changed))
    )


def test_refuses_to_remove_them_all():
    with pytest.raises(ValueError, match="cannot remove 2 of 2 blocks"):
        blocks_to_remove("block_influence", 2, states_of(0, 2))
    with pytest.raises(ValueError, match="cannot drop 2 of 2"):
        blocks_to_remove("angular", 2, states_of(0, 2))
