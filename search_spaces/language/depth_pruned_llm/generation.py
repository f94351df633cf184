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
    tokens = response_tokens(network, tokenizer, prompts, max_new_tokens, batch_size)
    return [str(tokenizer.decode(row, skip_special_tokens=True)) for row in tokens]


def response_tokens(
    network: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    max_new_tokens: int,
    batch_size: int = 256,
) -> list[list[int]]:
    """The same as token numbers, up to the end-of-sequence token and with it."""
    rows: list[list[int]] = []
    for batch in _batches(prompts, batch_size):
        given = tokenizer(
            batch, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt"
        )
        tokens = continue_greedily(network, tokenizer, given, max_new_tokens)
        rows += [_up_to(row, tokenizer.eos_token_id) for row in tokens.tolist()]
    return rows


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
        input_ids=given["input_ids"].to(network.device),
        attention_mask=given["attention_mask"].to(network.device),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    network.train(was_training)
    return tokens[:, given["input_ids"].shape[1] :].cpu()


def _up_to(row: list[int], end: int) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row


def _batches(prompts: Sequence[str], size: int) -> Iterator[list[str]]:
    for begin in range(0, len(prompts), size):
        yield list(prompts[begin : begin + size])
