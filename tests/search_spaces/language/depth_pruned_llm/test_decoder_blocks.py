import pytest
import torch

from search_spaces.language.depth_pruned_llm.decoder_blocks import (
    UnknownDecoder,
    decoder_blocks,
    remove_blocks,
)
from tests.search_spaces.language.depth_pruned_llm.families import VOCABULARY, tiny, transformers

FAMILIES = ["llama", "gpt2", "gpt_neox", "qwen2"]


def tokens(count=2, length=7):
    return torch.randint(3, VOCABULARY, (count, length))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_remains_computes_without_the_removed_blocks(family):
    """Against the whole network with identities in the blocks' places."""
    whole, pruned = tiny(family), tiny(family)
    remove_blocks(pruned, {1, 3})
    answers_tuple = _answers_tuple(whole)
    for number in (1, 3):
        block = decoder_blocks(whole)[number]
        block.forward = lambda states, *_, **__: (states,) if answers_tuple else states
    asked = tokens()
    with torch.no_grad():
        expected = whole(input_ids=asked, use_cache=False).logits
        given = pruned(input_ids=asked, use_cache=False).logits
    assert torch.allclose(given, expected, atol=1e-5)


def _answers_tuple(network):
    answers = []
    hook = decoder_blocks(network)[0].register_forward_hook(lambda *a: answers.append(a[2]))
    with torch.no_grad():
        network(input_ids=tokens(), use_cache=False)
    hook.remove()
    return isinstance(answers[0], tuple)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("removed", [(), (0,), (4,), (1, 2, 3), (0, 2, 4)])
def test_keys_and_values_are_kept_under_the_new_numbers(family, removed):
    """Generating with the cache gives what generating without it does."""
    network = tiny(family)
    remove_blocks(network, removed)
    assert network.config.num_hidden_layers == len(decoder_blocks(network)) == 5 - len(removed)
    asked = tokens()
    kept, anew = (
        network.generate(
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            max_new_tokens=6,
            do_sample=False,
            use_cache=use_cache,
        )
        for use_cache in (True, False)
    )
    assert torch.equal(kept, anew)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_saved_and_loaded_like_any_other(family, tmp_path):
    network = tiny(family)
    remove_blocks(network, (1, 2))
    network.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    asked = tokens()
    with torch.no_grad():
        assert torch.equal(network(input_ids=asked).logits, loaded(input_ids=asked).logits)


def test_lists_of_one_entry_per_block_follow():
    network = tiny("qwen2")
    remove_blocks(network, (1, 3))
    assert network.config.layer_types == ["full_attention"] * 3


def test_lists_of_other_meaning_stay(monkeypatch):
    network = tiny("llama", blocks=2, eos_token_id=[1, 3])
    remove_blocks(network, (0,))
    assert network.config.eos_token_id == [1, 3]


def test_refuses_what_leaves_no_network():
    network = tiny("llama")
    with pytest.raises(ValueError, match="no block 5; the blocks are 0 to 4"):
        remove_blocks(network, (1, 5))
    with pytest.raises(ValueError, match="cannot remove all 5 blocks"):
        remove_blocks(network, range(5))
    assert len(decoder_blocks(network)) == 5


def test_refuses_decoders_that_it_does_not_know():
    network = tiny("llama")
    network.config.num_hidden_layers = 4
    with pytest.raises(UnknownDecoder, match="has 0 lists of 4 modules"):
        decoder_blocks(network)
    scaled = tiny("gpt2", scale_attn_by_inverse_layer_idx=True)
    with pytest.raises(UnknownDecoder, match="scaled by the block's number"):
        remove_blocks(scaled, (1,))


def test_a_list_within_a_block_is_not_the_decoder():
    network = tiny("llama", blocks=2)
    for block in decoder_blocks(network):
        block.experts = torch.nn.ModuleList([torch.nn.Identity(), torch.nn.Identity()])
    assert len(decoder_blocks(network)) == 2
    remove_blocks(network, (0,))
    assert network.config.num_hidden_layers == 1
