"""The small world of chat tasks on letters: its unpruned model, its data, and the tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from search_spaces.language.depth_pruned_llm import chat_tasks, unpruned
from search_spaces.language.depth_pruned_llm.chat import Chat, Exchange
from search_spaces.language.depth_pruned_llm.chat_tasks import (
    MERGED_TASK,
    TASKS,
    TUNED_TASK,
    UNTOUCHED_TASKS,
    LetterChat,
)
from search_spaces.language.depth_pruned_llm.distillation import (
    DistillationStatistics,
    self_distil,
)
from search_spaces.language.depth_pruned_llm.evaluation import (
    Scores,
    forgetting,
    recovery_percent,
    score,
)
from search_spaces.language.depth_pruned_llm.fine_tuning import tokenize_exchanges
from search_spaces.language.depth_pruned_llm.flops import decoder_cost
from search_spaces.language.depth_pruned_llm.generation import continue_greedily
from search_spaces.language.depth_pruned_llm.network import word_tokenizer
from search_spaces.language.depth_pruned_llm.speculation import acceptance_rate
from search_spaces.recipe import Estimate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TEST_PER_TASK = 100
CHAT = LetterChat()

EVEN_LENGTH = 5
"""Letters of those instructions that must be of one length to make one tensor."""

_CALIBRATION_ANSWER = 2  # letters of the answer that a calibration text holds
_DRAFTED_PER_TASK = 20
_TUNING, _TESTS, _CALIBRATION, _DRAFTS = range(4)
_SEEDS_PER_WORLD = 10


@dataclass(frozen=True)
class LetterWorld:
    """See `World`.

    tests, scores: what every network is asked, and how the unpruned one does in it.
    drafted_prompts, drafted_responses: N x P and N x R tokens, test prompts and the model's own
        greedy responses, at which the pruned ones try themselves as drafts.
    """

    network: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    tests: tuple[Exchange, ...]
    scores: Scores
    drafted_prompts: Tensor
    drafted_responses: Tensor
    seed: int

    @property
    def chat(self) -> Chat:
        """See `World`."""
        return CHAT

    def calibration_texts(self, count: int) -> list[Tensor]:
        """Prompts and responses cut in the midst of the answer.

        There the last token, the one that angular distances look at, is followed by something that
        only the instruction tells.
        """
        rng = Random(_data_seed(self.seed, _CALIBRATION))
        drawn = chat_tasks.draw_letters(rng, held_out=False, lengths=(EVEN_LENGTH,))
        exchanges = [
            chat_tasks.own_way(rng.choice(tuple(TASKS)), next(drawn)) for _ in range(count)
        ]
        tokenized = tokenize_exchanges(self.tokenizer, CHAT, exchanges)
        left_out = EVEN_LENGTH - _CALIBRATION_ANSWER + 1  # and the end
        return [torch.tensor([exchange.tokens[:-left_out] for exchange in tokenized])]

    def fine_tuning_set(self, count: int, *, of_the_merged: bool) -> list[Exchange]:
        """One task, as people answer."""
        task = MERGED_TASK if of_the_merged else TUNED_TASK
        return chat_tasks.fine_tuning_set(task, count, _data_seed(self.seed, _TUNING))

    def rewritten(
        self, exchanges: Sequence[Exchange]
    ) -> tuple[list[Exchange], DistillationStatistics]:
        """See `World`."""
        return self_distil(
            self.network, self.tokenizer, CHAT, exchanges, chat_tasks.MAX_RESPONSE_TOKENS
        )

    def metrics_of(self, network: "PreTrainedModel") -> Mapping[str, Estimate]:
        """See `World`."""
        scores = score(network, self.tokenizer, CHAT, self.tests, chat_tasks.MAX_RESPONSE_TOKENS)
        unpruned = self.scores
        return {
            "mean_accuracy": scores.accuracy(),
            "accuracy_recovery": recovery_percent(scores.accuracy(), unpruned.accuracy().mean),
            "tuned_accuracy": scores.accuracy((TUNED_TASK,)),
            "forgetting": forgetting(
                scores.accuracy(UNTOUCHED_TASKS), unpruned.accuracy(UNTOUCHED_TASKS).mean
            ),
            "perplexity": Estimate(scores.perplexity),
            "flops_per_token": Estimate(float(decoder_cost(network).flops_per_token())),
            "acceptance_rate": acceptance_rate(
                network,
                [(self.drafted_prompts, self.drafted_responses)],
                self.tokenizer.pad_token_id,
            ),
        }

    def notes(self) -> Mapping[str, str | int | float | bool]:
        """See `World`."""
        return {"unpruned_accuracy": self.scores.accuracy().mean}


def _data_seed(seed: int, purpose: int) -> int:
    return _SEEDS_PER_WORLD * seed + purpose


@lru_cache(maxsize=1)
def load_world(cache_folder: Path, seed: int, max_steps: int | None = None) -> LetterWorld:
    """The world of this seed; its model has had at most `max_steps` steps, if any are named.

    The last one is held, since every trial of a process asks for the same.
    """
    steps = unpruned.STEPS if max_steps is None else min(max_steps, unpruned.STEPS)
    network = unpruned.load_unpruned(cache_folder, seed, steps)
    tokenizer = word_tokenizer()
    names, room = tuple(TASKS), chat_tasks.MAX_RESPONSE_TOKENS
    tests = world_tests(seed)
    drafted = chat_tasks.held_out_exchanges(
        names, _DRAFTED_PER_TASK, _data_seed(seed, _DRAFTS), (EVEN_LENGTH,)
    )
    asked = [CHAT.ask(exchange) for exchange in drafted]
    given = tokenizer(asked, add_special_tokens=False, return_tensors="pt")
    return LetterWorld(
        network=network,
        tokenizer=tokenizer,
        tests=tuple(tests),
        scores=score(network, tokenizer, CHAT, tests, room),
        drafted_prompts=given["input_ids"],
        drafted_responses=continue_greedily(network, tokenizer, given, room),
        seed=seed,
    )


def world_tests(seed: int) -> list[Exchange]:
    """Those that all networks of the world are tested by; they take no model to make."""
    return chat_tasks.held_out_exchanges(tuple(TASKS), TEST_PER_TASK, _data_seed(seed, _TESTS))
