"""Fine-tuning on exchanges: batches that follow from the step alone, cross-entropy of responses.

Shapes: B exchanges, T tokens of the longest prompt and response.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from search_spaces.language.depth_pruned_llm.chat import Chat, Exchange

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # cross_entropy's own mark for places that do not count

_GRADIENT_NORM = 1.0
_FINAL_RATE_SHARE = 0.1  # of the peak, at the end of the cosine


@dataclass(frozen=True)
class Batch:
    """tokens: B x T, padded at the right. labels: B x T, `IGNORED` at prompts and padding."""

    tokens: Tensor
    labels: Tensor


@dataclass(frozen=True)
class TokenizedExchange:
    """The tokens of prompt, response and end; the response begins at `response_begins`."""

    tokens: tuple[int, ...]
    response_begins: int


def tokenize(
    tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], responses: Sequence[str]
) -> list[TokenizedExchange]:
    """Prompts with their responses, each ended by the end-of-sequence token."""
    asked = tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
    answered = tokenizer(list(responses), add_special_tokens=False)["input_ids"]
    return [
        TokenizedExchange((*prompt, *response, tokenizer.eos_token_id), len(prompt))
        for prompt, response in zip(asked, answered, strict=True)
    ]


def tokenize_exchanges(
    tokenizer: "PreTrainedTokenizerBase", chat: Chat, exchanges: Sequence[Exchange]
) -> list[TokenizedExchange]:
    """Each exchange as the model is asked and answers."""
    prompts = [chat.ask(exchange) for exchange in exchanges]
    return tokenize(tokenizer, prompts, [exchange.response for exchange in exchanges])


def padded(exchanges: Sequence[TokenizedExchange], padding: int) -> Batch:
    """One batch. No attention mask is needed: padding comes after all that attends to it."""
    length = max(len(exchange.tokens) for exchange in exchanges)
    tokens = torch.full((len(exchanges), length), padding)
    labels = torch.full((len(exchanges), length), IGNORED)
    for row, exchange in enumerate(exchanges):
        end = len(exchange.tokens)
        tokens[row, :end] = torch.tensor(exchange.tokens)
        labels[row, exchange.response_begins : end] = tokens[row, exchange.response_begins : end]
    return Batch(tokens, labels)


@lru_cache(maxsize=8)
def _order_of_pass(seed: int, number: int, count: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    return tuple(torch.randperm(count, generator=generator).tolist())


def rows_of_step(step: int, size: int, count: int, seed: int) -> list[int]:
    """The rows of the batch of step 0, 1, ...: `size` of `count`, pass after pass.

    A function of its arguments alone, so that a training goes on from any step. Each pass visits
    every row once, in an order of its own; a batch may reach over the end of a pass.
    """
    places = range(step * size, (step + 1) * size)
    return [_order_of_pass(seed, place // count, count)[place % count] for place in places]


def response_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the labelled tokens, each told from those before it.

    scores: B x T x V; labels: B x T.
    """
    return cross_entropy(
        scores[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
    )


def _rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then a half cosine; never 0 at a step that is taken."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    passed = (step - warmup) / max(1, steps - warmup)
    return _FINAL_RATE_SHARE + (1.0 - _FINAL_RATE_SHARE) * 0.5 * (1.0 + math.cos(math.pi * passed))


class FineTuning:
    """Optimizer steps of those weights of a network that require a gradient.

    batch_of: gives the batch of step 0, 1, ...; a function of the step alone.
    """

    def __init__(
        self,
        network: nn.Module,
        batch_of: Callable[[int], Batch],
        *,
        steps: int,
        peak_rate: float,
        warmup_share: float = 0.1,
        weight_decay: float = 0.0,
    ) -> None:
        self.network = network
        self.steps = steps
        self.done = 0
        self._batch_of = batch_of
        self._peak_rate = peak_rate
        self._warmup = int(warmup_share * steps)
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=peak_rate, weight_decay=weight_decay, fused=True
        )

    def step(self) -> float:
        """One optimizer step; gives its loss in nats."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._peak_rate * _rate_factor(self.done, self.steps, self._warmup)
        batch = self._batch_of(self.done)
        device = self._weights[0].device
        scores = self.network(input_ids=batch.tokens.to(device), use_cache=False).logits
        loss = response_loss(scores, batch.labels.to(device))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._weights, _GRADIENT_NORM)
        self._optimizer.step()
        self.done += 1
        return loss.item()

    def state(self) -> Mapping[str, Any]:
        """All weights, those that stand still too, the optimizer's moments, the steps done."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "done": self.done,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from there, for a network of the same shape."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]
