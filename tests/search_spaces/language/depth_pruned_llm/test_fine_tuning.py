from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.language.depth_pruned_llm.fine_tuning import (
    IGNORED,
    FineTuning,
    TokenizedExchange,
    padded,
    response_loss,
    rows_of_step,
)
from search_spaces.language.depth_pruned_llm.lora import merged, with_adapters
from tests.search_spaces.language.depth_pruned_llm.families import VOCABULARY, tiny


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1_000))
def test_a_pass_visits_every_row_once(size, count, seed):
    steps = -(-3 * count // size)
    rows = [row for step in range(steps) for row in rows_of_step(step, size, count, seed)]
    for begin in range(0, 3 * count, count):
        assert Counter(rows[begin : begin + count]) == Counter(range(count))


def test_passes_and_seeds_have_orders_of_their_own():
    first, second = rows_of_step(0, 50, 50, seed=0), rows_of_step(1, 50, 50, seed=0)
    assert first != second
    assert first != rows_of_step(0, 50, 50, seed=1)
    assert first == rows_of_step(0, 50, 50, seed=0)


def test_only_responses_count():
    batch = padded([TokenizedExchange((5, 6, 7, 8), 2), TokenizedExchange((5, 9), 1)], padding=0)
    assert batch.tokens.tolist() == [[5, 6, 7, 8], [5, 9, 0, 0]]
    assert batch.labels.tolist() == [
        [IGNORED, IGNORED, 7, 8],
        [IGNORED, 9, IGNORED, IGNORED],
    ]


def test_the_loss_tells_each_token_from_those_before_it():
    labels = torch.tensor([[IGNORED, 1, 2]])
    scores = torch.zeros(1, 3, 4)
    assert response_loss(scores, labels).item() == pytest.approx(torch.tensor(4.0).log().item())
    scores[0, 0, 1] = scores[0, 1, 2] = 50.0
    assert response_loss(scores, labels).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
def test_padding_at_the_right_changes_no_loss(family):
    network = tiny(family)
    exchanges = [
        TokenizedExchange(tuple(torch.randint(3, VOCABULARY, (length,)).tolist()), 2)
        for length in (4, 9)
    ]
    with torch.no_grad():
        together = padded(exchanges, padding=2)
        beside = network(input_ids=together.tokens, use_cache=False).logits
        alone = network(input_ids=together.tokens[:1, :4], use_cache=False).logits
    assert torch.allclose(beside[:1, :4], alone, atol=1e-5)


def batch_of(step):
    return padded(
        [TokenizedExchange((*(5 + (row + k) % 9 for k in range(6)), 1), 2) for row in rows(step)], 2
    )


def rows(step):
    return rows_of_step(step, 8, 9, seed=0)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("adapted", [False, True])
def test_it_learns_and_merging_the_adapters_changes_no_answer(family, adapted):
    network = tiny(family)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    tuned = with_adapters(network, rank=4, alpha_ratio=2) if adapted else network
    tuning = FineTuning(tuned, batch_of, steps=30, peak_rate=1e-2)
    losses = [tuning.step() for _ in range(30)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    asked = batch_of(0).tokens
    with torch.no_grad():
        answers = tuned.eval()(input_ids=asked).logits
        alone = merged(tuned) if adapted else network
        assert torch.allclose(alone(input_ids=asked).logits, answers, atol=1e-4)
    after = alone.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    embedding = next(name for name in before if "embed" in name or "wte" in name)
    assert (embedding in changed) is not adapted


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_adapters_of_a_kind_change_the_layers_of_that_kind_alone(family):
    def layers(targets):
        tuned = with_adapters(tiny(family, blocks=2), 2, 2, targets)
        found = {name for name, _ in tuned.named_modules() if name.endswith("lora_A.default")}
        assert found
        return found

    attention, mlp, every = (layers(targets) for targets in ("attention", "mlp", "all"))
    assert all("attn" in name or "attention" in name for name in attention)
    assert all("mlp" in name for name in mlp)
    assert attention | mlp == every


def test_it_goes_on_from_its_state():
    whole, broken = (FineTuning(tiny("llama"), batch_of, steps=6, peak_rate=1e-2) for _ in "ab")
    for _ in range(6):
        whole.step()
    for _ in range(3):
        broken.step()
    state = {"tuning": broken.state()}
    later = FineTuning(tiny("llama"), batch_of, steps=6, peak_rate=1e-2)
    later.restore(state["tuning"])
    for _ in range(3):
        later.step()
    assert later.done == 6
    for one, other in zip(whole.network.parameters(), later.network.parameters(), strict=True):
        assert torch.equal(one, other)
