"""Tiny networks of four families of decoders, with fresh weights.

A module of tests that imports this one is skipped where transformers is not installed.
"""

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="needs archfront[llm]")

VOCABULARY = 50

_SHAPE = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_attention_heads": 2}
_SHAPE |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}


def tiny(family: str, blocks: int = 5, **changes: object) -> "transformers.PreTrainedModel":
    """In eval mode; the same weights each time."""
    match family:
        case "llama":
            config = transformers.LlamaConfig(
                **_SHAPE, num_hidden_layers=blocks, intermediate_size=24, num_key_value_heads=1
            )
        case "gpt2":
            config = transformers.GPT2Config(
                vocab_size=VOCABULARY,
                n_embd=16,
                n_layer=blocks,
                n_head=2,
                n_positions=32,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=2,
            )
        case "gpt_neox":
            config = transformers.GPTNeoXConfig(
                **_SHAPE, num_hidden_layers=blocks, intermediate_size=24
            )
        case "qwen2":
            kinds = ["full_attention", "sliding_attention"]
            config = transformers.Qwen2Config(
                **_SHAPE,
                num_hidden_layers=blocks,
                intermediate_size=24,
                num_key_value_heads=1,
                layer_types=[kinds[number % 2] for number in range(blocks)],
                sliding_window=4,
                use_sliding_window=True,
            )
    for name, value in changes.items():
        setattr(config, name, value)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = transformers.AutoModelForCausalLM.from_config(config)
        for weight in network.parameters():  # fresh blocks are nearly the identity
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.3)
    return network.eval()
