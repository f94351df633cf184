"""How good a language model is: right answers on each task, perplexity, and what it forgot."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from search_spaces.language.depth_pruned_llm.chat import Chat, Exchange
from search_spaces.language.depth_pruned_llm.fine_tuning import (
    padded,
    response_loss,
    tokenize_exchanges,
)
from search_spaces.language.depth_pruned_llm.generation import respond
from search_spaces.recipe import Estimate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


_MOST_NATS = 700.0  # per token: beyond it lies infinity


@dataclass(frozen=True)
class Scores:
    """right: right answers of each task, all tasks of `per_task` exchanges each.

    perplexity: of the tokens of the expected responses.
    """

    right: Mapping[str, int]
    per_task: int
    perplexity: float

    def accuracy(self, tasks: Sequence[str] = ()) -> Estimate:
        """Mean accuracy over these tasks, all if none is named."""
        named = tasks or tuple(self.right)
        return right_share(sum(self.right[task] for task in named), self.per_task * len(named))


def right_share(right: int, n: int) -> Estimate:
    """right/n and its binomial standard error.

    The standard error is taken at (right + 1)/(n + 2), so that no error seen is not no noise.
    """
    smoothed = (right + 1) / (n + 2)
    return Estimate(mean=right / n, sem=math.sqrt(smoothed * (1 - smoothed) / n), n=n)


def recovery_percent(accuracy: Estimate, unpruned: float) -> Estimate:
    """The accuracy in per cent of the unpruned model's, whose own noise is not counted.

    0 of an unpruned model that knows nothing is nothing recovered.
    """
    scale = 100.0 / unpruned if unpruned > 0 else 0.0
    sem = None if accuracy.sem is None or scale == 0.0 else scale * accuracy.sem
    return Estimate(scale * accuracy.mean, sem, accuracy.n)


def forgetting(accuracy: Estimate, unpruned: float) -> Estimate:
    """By how much the accuracy lies below the unpruned model's; below 0 if it is better."""
    return Estimate(unpruned - accuracy.mean, accuracy.sem, accuracy.n)


@torch.no_grad()
def next_tokens(network: "PreTrainedModel", texts: Iterable[Tensor]) -> Tensor:
    """The token that the network would write after each, N x T.

    texts: batches of B x T tokens without padding; N is their sum.
    """
    found = [
        network(input_ids=some.to(network.device), use_cache=False).logits.argmax(dim=-1).cpu()
        for some in texts
    ]
    return torch.cat(found)


@torch.no_grad()
def text_perplexity(network: "PreTrainedModel", texts: Iterable[Tensor]) -> float:
    """Per token of such texts, the first of each not counted; e^700 if it is more."""
    nats, count = 0.0, 0
    for some in texts:
        given = some.to(network.device)
        nats += response_loss(network(input_ids=given, use_cache=False).logits, given).item() * len(
            given
        )
        count += len(given)
    return math.exp(min(nats / count, _MOST_NATS))


@torch.no_grad()
def score(
    network: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    chat: Chat,
    exchanges: Sequence[Exchange],
    max_new_tokens: int,
) -> Scores:
    """Scores a network in eval mode; a response counts by its answer alone, not its wording.

    exchanges: equally many of each task, with the responses that are expected.
    """
    prompts = [chat.ask(exchange) for exchange in exchanges]
    responses = respond(network, tokenizer, prompts, max_new_tokens, batch_size=len(prompts))
    right = {exchange.task: 0 for exchange in exchanges}
    for exchange, response in zip(exchanges, responses, strict=True):
        right[exchange.task] += bool(chat.is_right(exchange, response))
    batch = padded(tokenize_exchanges(tokenizer, chat, exchanges), tokenizer.pad_token_id)
    scores = network(input_ids=batch.tokens, use_cache=False).logits
    loss = response_loss(scores.double(), batch.labels)
    return Scores(right, len(exchanges) // len(right), math.exp(min(loss.item(), _MOST_NATS)))
