"""What all trials of one search share: the unpruned model, its data, and the tests."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from search_spaces.arm import Arm
from search_spaces.language.depth_pruned_llm import chat_tasks, unpruned
from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_llm.chat_tasks import (
    TASKS,
    TUNED_TASK,
    UNTOUCHED_TASKS,
    LetterChat,
)
from search_spaces.language.depth_pruned_llm.decoder_blocks import remove_blocks
from search_spaces.language.depth_pruned_llm.evaluation import (
    Scores,
    forgetting,
    recovery_percent,
    right_share,
    score,
)
from search_spaces.language.depth_pruned_llm.fine_tuning import tokenize_exchanges
from search_spaces.language.depth_pruned_llm.flops import decoder_cost
from search_spaces.language.depth_pruned_llm.generation import continue_greedily
from search_spaces.language.depth_pruned_llm.importance import (
    BlockCriterion,
    blocks_to_remove,
    border_states,
)
from search_spaces.language.depth_pruned_llm.network import word_tokenizer
from search_spaces.language.depth_pruned_llm.speculation import agreements, speculate
from search_spaces.recipe import Estimate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TEST_PER_TASK = 100
DRAFT_LENGTH = 4
CHAT = LetterChat()

EVEN_LENGTH = 5
"""Letters of those instructions that must be of one length to make one tensor."""

_CALIBRATION_ANSWER = 2  # letters of the answer that a calibration text holds
_DRAFTED_PER_TASK = 20
_TUNING, _TESTS, _CALIBRATION, _DRAFTS = range(4)
_SEEDS_PER_WORLD = 10


@dataclass(frozen=True)
class World:
    """What all trials share: the unpruned model, its words, the tests and how it does in them.

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


def _data_seed(seed: int, purpose: int) -> int:
    return _SEEDS_PER_WORLD * seed + purpose


@lru_cache(maxsize=1)
def load_world(cache_folder: Path, seed: int, max_steps: int | None = None) -> World:
    """The world of this seed; its model has had at most `max_steps` steps, if any are named.

    The last one is held, since every trial of a process asks for the same: change nothing in it.
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
    return World(
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


def choose_blocks(world: World, arm: Arm) -> tuple[int, ...]:
    """The numbers of the blocks that the arm removes, in rising order."""
    count = int(arm.parameters["removed_blocks"])
    if count == 0:
        return ()
    texts = _calibration_texts(world, int(arm.parameters["calibration_texts"]))
    states = border_states(world.network, [texts])
    criterion = cast(BlockCriterion, arm.parameters["removal_criterion"])
    return blocks_to_remove(criterion, count, states)


def fine_tuning_set(world: World, task: str, count: int) -> list[Exchange]:
    """`count` exchanges of the task, as people answer."""
    return chat_tasks.fine_tuning_set(task, count, _data_seed(world.seed, _TUNING))


def _calibration_texts(world: World, count: int) -> Tensor:
    """`count` x T tokens: prompts and responses cut in the midst of the answer.

    There the last token, the one that angular distances look at, is followed by something that
    only the instruction tells.
    """
    rng = Random(_data_seed(world.seed, _CALIBRATION))
    drawn = chat_tasks.draw_letters(rng, held_out=False, lengths=(EVEN_LENGTH,))
    exchanges = [chat_tasks.own_way(rng.choice(tuple(TASKS)), next(drawn)) for _ in range(count)]
    tokenized = tokenize_exchanges(world.tokenizer, CHAT, exchanges)
    left_out = EVEN_LENGTH - _CALIBRATION_ANSWER + 1  # and the end
    return torch.tensor([exchange.tokens[:-left_out] for exchange in tokenized])


def pruned_copy(world: World, removed: tuple[int, ...]) -> "PreTrainedModel":
    """The unpruned model without these blocks; the world's own stays as it is."""
    network = copy.deepcopy(world.network)
    remove_blocks(network, removed)
    return network


def metrics_of(network: "PreTrainedModel", world: World) -> Mapping[str, Estimate]:
    """All metrics of a pruned network in eval mode that need no training to be told."""
    scores = score(network, world.tokenizer, CHAT, world.tests, chat_tasks.MAX_RESPONSE_TOKENS)
    return {
        "mean_accuracy": scores.accuracy(),
        "accuracy_recovery": recovery_percent(scores.accuracy(), world.scores.accuracy().mean),
        "tuned_accuracy": scores.accuracy((TUNED_TASK,)),
        "forgetting": forgetting(
            scores.accuracy(UNTOUCHED_TASKS), world.scores.accuracy(UNTOUCHED_TASKS).mean
        ),
        "perplexity": Estimate(scores.perplexity),
        "flops_per_token": Estimate(float(decoder_cost(network).flops_per_token())),
        "acceptance_rate": _acceptance_rate(network, world),
    }


def _acceptance_rate(network: "PreTrainedModel", world: World) -> Estimate:
    """Of the network's drafts for the unpruned one, on test prompts of all tasks."""
    responses = world.drafted_responses
    agreed = agreements(network, world.drafted_prompts, responses).tolist()
    lengths = (responses != world.tokenizer.pad_token_id).sum(dim=1).tolist()
    rounds = speculate(
        [row[:length] for row, length in zip(agreed, lengths, strict=True)], DRAFT_LENGTH
    )
    # a model that ends each response at once leaves nothing to draft
    return right_share(rounds.accepted, max(1, rounds.proposed))
