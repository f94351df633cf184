import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.language.depth_pruned_llm.decoder_blocks import remove_blocks
from search_spaces.language.depth_pruned_llm.speculation import agreements, speculate
from tests.search_spaces.language.depth_pruned_llm.families import VOCABULARY, tiny

AGREED = st.lists(st.lists(st.booleans(), min_size=1, max_size=20), min_size=1, max_size=5)


@given(AGREED, st.integers(1, 6))
def test_every_token_is_accepted_or_the_targets_own(agreed, length):
    rounds = speculate(agreed, length)
    assert rounds.tokens == sum(map(len, agreed))
    assert rounds.accepted + rounds.target_calls == rounds.tokens
    assert 0 <= rounds.accepted <= rounds.proposed <= length * rounds.target_calls
    assert 1.0 <= rounds.tokens_per_target_call <= length + 1


@given(st.integers(1, 40), st.integers(1, 6))
def test_the_best_and_the_worst_draft(tokens, length):
    best = speculate([[True] * tokens], length)
    assert best.accepted == best.proposed
    assert best.target_calls == math.ceil(tokens / (length + 1))
    worst = speculate([[False] * tokens], length)
    assert worst.accepted == 0
    assert worst.target_calls == tokens


def test_one_text_by_hand():
    # rounds of 2: agree, refuse | agree, agree, the target's | the target's
    rounds = speculate([[True, False, True, True, True, True]], 2)
    assert (rounds.proposed, rounds.accepted, rounds.target_calls) == (4, 3, 3)
    assert rounds.acceptance_rate == 0.75
    assert rounds.tokens_per_target_call == 2.0


def test_a_text_of_one_token_needs_no_draft():
    rounds = speculate([[True]], 4)
    assert rounds.proposed == 0
    assert math.isnan(rounds.acceptance_rate)
    with pytest.raises(ValueError, match="at least one token"):
        speculate([[True]], 0)


def decoded(target, draft, prompt, count, length):
    """Speculative decoding spelt out: its text, and what was proposed, accepted and called."""

    def choice(network, tokens):
        with torch.no_grad():
            return int(
                network(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()
            )

    tokens, proposed, accepted, calls = list(prompt), 0, 0, 0
    while len(tokens) - len(prompt) < count:
        room = count - (len(tokens) - len(prompt)) - 1
        drafted = []
        for _ in range(min(length, room)):
            drafted.append(choice(draft, tokens + drafted))
        proposed, calls = proposed + len(drafted), calls + 1
        for token in drafted:
            if choice(target, tokens) != token:
                break
            tokens.append(token)
            accepted += 1
        tokens.append(choice(target, tokens))
    return tokens[len(prompt) :], (proposed, accepted, calls)


@pytest.mark.parametrize("removed", [(), (2,), (0, 4)])
@pytest.mark.parametrize("length", [1, 3])
def test_the_rounds_counted_are_those_of_decoding(removed, length):
    target, draft = tiny("llama"), tiny("llama")
    remove_blocks(draft, removed)
    prompt = torch.randint(3, VOCABULARY, (1, 4))
    responses = target.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        min_new_tokens=10,
        max_new_tokens=10,
        do_sample=False,
        eos_token_id=None,
    )[:, 4:]
    text, counts = decoded(target, draft, prompt[0].tolist(), 10, length)
    assert text == responses[0].tolist()
    rounds = speculate(agreements(draft, prompt, responses).tolist(), length)
    assert (rounds.proposed, rounds.accepted, rounds.target_calls) == counts
