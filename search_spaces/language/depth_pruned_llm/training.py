"""Removes blocks from the unpruned model, fine-tunes what remains and tells what it still knows."""

import math
from collections.abc import Generator, Mapping
from importlib.util import find_spec
from typing import cast

import torch
from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.language.depth_pruned_llm import chat_tasks
from search_spaces.language.depth_pruned_llm.chat_tasks import TASKS
from search_spaces.language.depth_pruned_llm.deployed import Examination, deployed_metrics
from search_spaces.language.depth_pruned_llm.letter_world import (
    CHAT,
    EVEN_LENGTH,
    load_world,
    world_tests,
)
from search_spaces.language.depth_pruned_llm.network import (
    BLOCKS,
    NextToken,
    small_llama,
    word_tokenizer,
)
from search_spaces.language.depth_pruned_llm.recovery import recover
from search_spaces.recipe import (
    CurvePoint,
    Deployment,
    Estimate,
    Recipe,
    TrainedNetwork,
    TrainingContext,
)

_DEPLOYED_EVERY = 2  # the exported network answers one at a time, every second test of each task


class DepthPrunedRecipe:
    """The recipe of the depth-pruned language model.

    world_seed: of the unpruned model and all data, which every trial of a search shares.
    """

    def __init__(self, world_seed: int = 0) -> None:
        self._world_seed = world_seed

    def build(self, arm: Arm) -> NextToken:
        """The deployed network, in eval mode, with weights that depend on nothing but the arm."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return NextToken(small_llama(BLOCKS - int(arm.parameters["removed_blocks"]))).eval()

    def example_inputs(
        self,
        arm: Arm,  # noqa: ARG002  (the same for all)
        count: int,
        context: TrainingContext,
    ) -> list[tuple[Tensor, ...]]:
        """`count` test prompts, each 1 x T int64."""
        per_task = math.ceil(count / len(TASKS))
        exchanges = chat_tasks.held_out_exchanges(
            tuple(TASKS), per_task, context.seed, (EVEN_LENGTH,)
        )
        tokenizer = word_tokenizer()
        prompts = [CHAT.ask(exchange) for exchange in exchanges[:count]]
        tokens = tokenizer(prompts, add_special_tokens=False, return_tensors="pt")["input_ids"]
        return [(row[None],) for row in tokens]

    def train(
        self, arm: Arm, context: TrainingContext
    ) -> Generator[CurvePoint, None, TrainedNetwork]:
        """Pruning, then recovery; deterministic in (arm, seed) on one thread."""
        world = load_world(context.cache_folder, self._world_seed, context.max_steps)
        return recover(arm, context, world)

    def evaluate_deployed(
        self,
        arm: Arm,  # noqa: ARG002  (the network has it all)
        network: nn.Module,
        deploy: Deployment,
        context: TrainingContext,  # noqa: ARG002  (the tests are the world's)
    ) -> Mapping[str, Estimate]:
        """Speed and accuracy of decoding in the precision of the arm."""
        tests = world_tests(self._world_seed)[::_DEPLOYED_EVERY]
        examination = Examination(word_tokenizer(), CHAT, tests, chat_tasks.MAX_RESPONSE_TOKENS)
        return deployed_metrics(cast(NextToken, network), examination, deploy)


def recipe() -> Recipe:
    """The door by which the registry loads this module.

    Raises: ModuleNotFoundError if what the extra `llm` brings is not installed.
    """
    for module in ("transformers", "peft"):
        if find_spec(module) is None:
            raise ModuleNotFoundError(
                f"the search space depth_pruned_llm needs {module}; "
                "run: pip install 'archfront[llm]'",
                name=module,
            )
    return DepthPrunedRecipe()
