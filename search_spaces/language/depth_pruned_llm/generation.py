"""What a language model answers: greedy decoding of many prompts at a time."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@torch.no_grad()
def respond(
    network: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    max_new_tokens: int,
    batch_size: int = 256,
) -> list[str]:
    """The greedy response to each prompt, in their order, without special tokens.

    A response ends at the tokenizer's end-of-sequence token, or after `max_new_tokens`. Prompts
    are padded at their left, so that all responses of a batch begin at one place.
    """
    responses: list[str] = []
    for batch in _batches(prompts, batch_size):
        given = tokenizer(
            batch, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt"
        )
        tokens = continue_greedily(network, tokenizer, given, max_new_tokens)
        responses += tokenizer.batch_decode(tokens, skip_special_tokens=True)
    return responses


@torch.no_grad()
def continue_greedily(
    network: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    given: Any,
    max_new_tokens: int,
) -> Tensor:
    """B x R tokens after the prompts, R <= `max_new_tokens`, padding after the last of each.

    given: `input_ids` and `attention_mask`, each B x P, padded at the left.
    """
    was_training = network.training
    network.eval()
    tokens: Tensor = network.generate(
        input_ids=given["input_ids"],
        attention_mask=given["attention_mask"],
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    network.train(was_training)
    return tokens[:, given["input_ids"].shape[1] :]


def _batches(prompts: Sequence[str], size: int) -> Iterator[list[str]]:
    for begin in range(0, len(prompts), size):
        yield list(prompts[begin : begin + size])
