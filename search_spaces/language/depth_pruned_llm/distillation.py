"""Self-data distillation: the unpruned model writes the fine-tuning set anew, in its own words.

[Thangarasa2024] Thangarasa et al., Self-Data Distillation for Recovering Quality in Pruned Large
    Language Models, arXiv 2410.09982: y~ is drawn from the unpruned model given (c, x, y), and
    kept where its answer is that of y.
[Yang2024] Yang et al., Self-Distillation Bridges Distribution Gap in Language Model Fine-Tuning,
    arXiv 2402.13669: the prompt that shows the response, and the fall-back to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from search_spaces.language.depth_pruned_llm.chat import Chat, Exchange
from search_spaces.language.depth_pruned_llm.generation import respond

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class DistillationStatistics:
    """What became of the model's own responses.

    accepted: they hold the answer of the given response. wrong: another answer. unanswered: none.
    Of the last two the given response was kept.
    """

    accepted: int = 0
    wrong: int = 0
    unanswered: int = 0

    @property
    def acceptance_rate(self) -> float:
        """The share of responses that are the model's own; nan of an empty set."""
        total = self.accepted + self.wrong + self.unanswered
        return self.accepted / total if total else float("nan")


def choose_responses(
    chat: Chat, exchanges: Sequence[Exchange], rewritten: Sequence[str]
) -> tuple[list[Exchange], DistillationStatistics]:
    """Each exchange with the model's own response where that is right, else as it was.

    rewritten: the model's responses, in the order of the exchanges.
    """
    chosen: list[Exchange] = []
    accepted = unanswered = 0
    for exchange, response in zip(exchanges, rewritten, strict=True):
        is_right = chat.is_right(exchange, response)
        accepted += bool(is_right)
        unanswered += is_right is None
        chosen.append(replace(exchange, response=response) if is_right else exchange)
    wrong = len(exchanges) - accepted - unanswered
    return chosen, DistillationStatistics(accepted, wrong, unanswered)


def self_distil(
    unpruned: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    chat: Chat,
    exchanges: Sequence[Exchange],
    max_new_tokens: int,
) -> tuple[list[Exchange], DistillationStatistics]:
    """The exchanges as the unpruned model rewrites them, and what became of its responses."""
    prompts = [chat.ask_to_rewrite(exchange) for exchange in exchanges]
    rewritten = respond(unpruned, tokenizer, prompts, max_new_tokens)
    return choose_responses(chat, exchanges, rewritten)
