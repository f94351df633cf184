"""How near a pruned network is to the unpruned one, on prose, on other topics and on its own.

Shapes: B texts, T tokens.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.smollm2.texts import with_choices
from search_spaces.language.depth_pruned_llm.chat import Chat, Exchange
from search_spaces.language.depth_pruned_llm.evaluation import next_tokens, text_perplexity
from search_spaces.language.depth_pruned_llm.fine_tuning import (
    IGNORED,
    Batch,
    padded,
    response_loss,
    tokenize_exchanges,
)
from search_spaces.language.depth_pruned_llm.generation import respond
from search_spaces.language.depth_pruned_llm.harness import evaluate, write_choice_task

_AT_ONCE = 8


@dataclass(frozen=True)
class Tests:
    """What every network is asked.

    prose: B x T tokens. agreed: B x T, what the unpruned network would write after each of them.
    questions: of topics that no fine-tuning touches, with the unpruned network's own responses.
    trivia: of the tuned topic, with people's.
    """

    prose: Tensor
    agreed: Tensor
    questions: Sequence[Exchange]
    trivia: Sequence[Exchange]


def choices(network: Any, tokens: Tensor) -> Tensor:
    """The token that the network would write after each, B x T."""
    return next_tokens(network, tokens.split(_AT_ONCE))


def perplexity(network: Any, tokens: Tensor) -> float:
    """Per token of texts of one length, the first of each not counted."""
    return text_perplexity(network, tokens.split(_AT_ONCE))


@torch.no_grad()
def response_agreement(network: Any, batches: Sequence[Batch]) -> tuple[float, float]:
    """The share of response tokens that the network would choose, and their perplexity."""
    right = count = 0
    nats = 0.0
    for batch in batches:
        scores = network(input_ids=batch.tokens, use_cache=False).logits
        labels = batch.labels[:, 1:]
        counted = labels != IGNORED
        chosen = scores[:, :-1].argmax(dim=-1)
        right += int((chosen == labels)[counted].sum())
        count += int(counted.sum())
        nats += response_loss(scores, batch.labels).item() * int(counted.sum())
    return right / count, math.exp(min(nats / count, 700.0))


def figures_of(
    network: Any, tokenizer: Any, chat: Chat, tests: Tests, max_new_tokens: int
) -> dict[str, float]:
    """All figures of a network in eval mode."""
    questions = tokenize_exchanges(tokenizer, chat, tests.questions)
    batches = [
        padded(questions[begin : begin + _AT_ONCE], tokenizer.pad_token_id)
        for begin in range(0, len(questions), _AT_ONCE)
    ]
    agreement, own_perplexity = response_agreement(network, batches)
    answers = respond(
        network, tokenizer, [chat.ask(one) for one in tests.trivia], max_new_tokens, _AT_ONCE
    )
    right = [
        bool(chat.is_right(one, answer)) for one, answer in zip(tests.trivia, answers, strict=True)
    ]
    prose_agreement = (choices(network, tests.prose) == tests.agreed)[:, :-1].double().mean()
    return {
        "prose_perplexity": perplexity(network, tests.prose),
        "prose_agreement": float(prose_agreement),
        "response_agreement": agreement,
        "response_perplexity": own_perplexity,
        "trivia_accuracy": sum(right) / len(right),
        "trivia_choice_accuracy": _choice_accuracy(network, tokenizer, chat, tests.trivia),
    }


def _choice_accuracy(network: Any, tokenizer: Any, chat: Chat, trivia: Sequence[Exchange]) -> float:
    """By lm-evaluation-harness: how often the right one of four answers is the likeliest."""
    with tempfile.TemporaryDirectory() as name:
        task = write_choice_task(Path(name), "trivia_choices", with_choices(trivia, chat))
        found = evaluate(network, tokenizer, [task], folder=Path(name), batch_size=_AT_ONCE)
    return found[task.name].mean
