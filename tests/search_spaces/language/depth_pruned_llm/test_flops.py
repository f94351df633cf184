import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.language.depth_pruned_llm.decoder_blocks import remove_blocks
from search_spaces.language.depth_pruned_llm.flops import decoder_cost, saved_percent
from tests.search_spaces.language.depth_pruned_llm.families import VOCABULARY, tiny, transformers


@pytest.fixture
def llama_8b():
    """Llama-3.1-8B by its published configuration, without memory for its weights."""
    config = transformers.LlamaConfig(
        vocab_size=128_256,
        hidden_size=4_096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131_072,
        rms_norm_eps=1e-5,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500_000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8_192,
        },
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


def test_the_papers_figures_for_llama_8b(llama_8b):
    """8.03B to 6.72B weights and "FLOPs" -16.30 % are in the paper's abstract."""
    whole = decoder_cost(llama_8b)
    remove_blocks(llama_8b, range(23, 29))
    pruned = decoder_cost(llama_8b)
    assert whole.weights == 8_030_261_248
    assert pruned.weights == 6_721_589_248
    assert round(saved_percent(whole.weights, pruned.weights), 2) == 16.30


@pytest.mark.parametrize(("context", "saved"), [(0, 17.437), (1_024, 17.483), (8_192, 17.729)])
def test_operations_per_token_fall_by_more_than_weights(llama_8b, context, saved):
    before = decoder_cost(llama_8b).flops_per_token(context)
    remove_blocks(llama_8b, range(23, 29))
    after = decoder_cost(llama_8b).flops_per_token(context)
    assert round(saved_percent(before, after), 3) == saved


def test_llama_8b_takes_15_gflop_per_token(llama_8b):
    assert decoder_cost(llama_8b).flops_per_token() == pytest.approx(15.009e9, rel=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("length", [1, 8])
def test_torch_counts_the_same_products(family, length):
    network = tiny(family)
    network.set_attn_implementation("eager")
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(input_ids=torch.randint(3, VOCABULARY, (1, length)), use_cache=False)
    # every token attends to the whole text, what is masked included
    expected = length * decoder_cost(network).flops_per_token(length)
    # the rotary angles are a product too, one of width 1
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.01)
