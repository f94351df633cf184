"""Prunes SmolLM2-135M-Instruct by some of its 30 blocks and recovers what is left.

The fine-tuning set is trivia: people's answers are a word or two, the model's own, written with the
right answer before its eyes and kept where it holds that answer, are sentences. Both kinds are
learnt by the same adapters, from the same questions in the same order, in as many steps. A seed is
that of the adapters' first weights and of the order; blocks and data are the same on all.

Tested on what no training saw: prose (its perplexity, and how often the network would write the
token that the unpruned one would), questions of other topics (how often it would go on as the
unpruned one answers them), and other trivia. A model of this size hardly knows any trivia: those
right answers are shown, and nothing is claimed of them.
"""

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, Literal

import torch

from benchmarks.smollm2.figures import Tests, choices, figures_of
from benchmarks.smollm2.model import SmolChat, load
from benchmarks.smollm2.texts import OTHER_TOPICS, exchanges_of, prose, tuned_exchanges
from search_spaces.language.depth_pruned_llm.decoder_blocks import decoder_blocks, remove_blocks
from search_spaces.language.depth_pruned_llm.distillation import (
    DistillationStatistics,
    self_distil,
)
from search_spaces.language.depth_pruned_llm.fine_tuning import (
    Batch,
    FineTuning,
    padded,
    rows_of_step,
    tokenize_exchanges,
)
from search_spaces.language.depth_pruned_llm.generation import respond
from search_spaces.language.depth_pruned_llm.importance import (
    BlockCriterion,
    blocks_to_remove,
    border_states,
)
from search_spaces.language.depth_pruned_llm.lora import merged, with_adapters

REMOVED = (4, 6)
RECOVERED = 6
RANDOM_DRAWS = 15
ARMS = ("given", "self_distilled")
STEPS, BATCH_SIZE, RATE, RANK, ALPHA_RATIO = 100, 4, 1e-4, 8, 2.0
_NEW_TOKENS, _CHUNK = 40, 128
_CALIBRATION_CHUNKS, _TEST_CHUNKS, _QUESTIONS_PER_TOPIC, _TRIVIA = 16, 32, 8, 48


@dataclass(frozen=True)
class Case:
    """One network. removed: how many blocks; chosen_by: a criterion of the library, or `random`.

    responses: what it was fine-tuned on, empty if on nothing. seed: of the draw, or the training.
    """

    removed: int
    chosen_by: BlockCriterion | Literal["random"] = "angular"
    responses: str = ""
    seed: int = 0

    @property
    def name(self) -> str:
        """Under which it is kept."""
        return f"{self.removed}, {self.chosen_by}, {self.responses}, seed {self.seed}"


@dataclass(frozen=True)
class Outcome:
    """figures: by name; notes: what was removed, what was accepted; cpu_s: all it took here."""

    figures: dict[str, float]
    notes: dict[str, Any]
    cpu_s: float


def cases(seeds: Sequence[int]) -> Iterator[Case]:
    """The unpruned model, what each way of choosing blocks leaves, then the recoveries."""
    yield Case(0)
    for removed in REMOVED:
        yield Case(removed, "angular")
        yield Case(removed, "block_influence")
        yield from (Case(removed, "random", seed=draw) for draw in range(RANDOM_DRAWS))
    for seed in seeds:
        yield from (Case(RECOVERED, responses=arm, seed=seed) for arm in ARMS)


@dataclass(frozen=True)
class Given:
    """What all cases share; change nothing in it."""

    network: Any
    tokenizer: Any
    chat: SmolChat
    tests: Tests
    states: list[torch.Tensor]


@lru_cache(maxsize=1)
def load_given(cache_folder: Path) -> Given:
    """The unpruned model, its answers to the tests, and its states on calibration texts."""
    network, tokenizer = load(cache_folder)
    chat = SmolChat(tokenizer)
    asked = [one for topic in OTHER_TOPICS for one in exchanges_of(topic)[:_QUESTIONS_PER_TOPIC]]
    answers = respond(network, tokenizer, [chat.ask(one) for one in asked], _NEW_TOKENS, 8)
    questions = [replace(one, response=said) for one, said in zip(asked, answers, strict=True)]
    tested = prose(tokenizer, _TEST_CHUNKS, _CHUNK, for_tests=True)
    tests = Tests(tested, choices(network, tested), questions, tuned_exchanges()[1][:_TRIVIA])
    calibration = prose(tokenizer, _CALIBRATION_CHUNKS, _CHUNK, for_tests=False)
    return Given(network, tokenizer, chat, tests, border_states(network, [calibration]))


@lru_cache(maxsize=1)
def _own_responses(cache_folder: Path) -> tuple[list[Any], DistillationStatistics]:
    given = load_given(cache_folder)
    return self_distil(
        given.network, given.tokenizer, given.chat, tuned_exchanges()[0], _NEW_TOKENS
    )


def removed_by(case: Case, given: Given) -> tuple[int, ...]:
    """The numbers of the blocks that the case removes; a random draw is of any blocks."""
    if case.removed == 0:
        return ()
    if case.chosen_by == "random":
        blocks = range(len(decoder_blocks(given.network)))
        return tuple(sorted(Random(case.seed).sample(blocks, case.removed)))
    return blocks_to_remove(case.chosen_by, case.removed, given.states)


def run(case: Case, cache_folder: Path, steps: int = STEPS) -> Outcome:
    """Works the case off."""
    given = load_given(cache_folder)
    started_s = time.process_time()
    removed = removed_by(case, given)
    network = copy.deepcopy(given.network)
    remove_blocks(network, removed)
    notes: dict[str, Any] = {"removed_blocks": removed}
    if case.responses:
        exchanges = tuned_exchanges()[0]
        if case.responses == "self_distilled":
            exchanges, statistics = _own_responses(cache_folder)
            notes |= vars(statistics)
        network, notes["train_loss"] = _recovered(network, given, exchanges, case.seed, steps)
    figures = figures_of(network, given.tokenizer, given.chat, given.tests, _NEW_TOKENS)
    return Outcome(figures, notes, time.process_time() - started_s)


def _recovered(
    network: Any, given: Given, exchanges: Sequence[Any], seed: int, steps: int
) -> tuple[Any, float]:
    torch.manual_seed(seed)
    tokenized = tokenize_exchanges(given.tokenizer, given.chat, exchanges)

    def batch_of(step: int) -> Batch:
        rows = rows_of_step(step, BATCH_SIZE, len(tokenized), seed)
        return padded([tokenized[row] for row in rows], given.tokenizer.pad_token_id)

    adapted = with_adapters(network, RANK, ALPHA_RATIO)
    tuning = FineTuning(adapted, batch_of, steps=steps, peak_rate=RATE)
    adapted.train()
    losses = [tuning.step() for _ in range(steps)]
    last = losses[-max(1, steps // 10) :]
    return merged(adapted).eval(), sum(last) / len(last)
