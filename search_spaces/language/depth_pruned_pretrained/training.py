"""Removes blocks from a model of one's own, recovers what remains and tells how near it is."""

from collections.abc import Generator, Mapping
from importlib.util import find_spec
from typing import cast

from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.language.depth_pruned_llm.deployed import Examination, deployed_metrics
from search_spaces.language.depth_pruned_llm.network import NextToken
from search_spaces.language.depth_pruned_llm.recovery import recover
from search_spaces.language.depth_pruned_pretrained.model_folder import read_folder
from search_spaces.language.depth_pruned_pretrained.network import load_tokenizer, pruned_shape
from search_spaces.language.depth_pruned_pretrained.template_chat import TemplateChat
from search_spaces.language.depth_pruned_pretrained.world import load_world, prose_chunks
from search_spaces.recipe import (
    CurvePoint,
    Deployment,
    Estimate,
    Recipe,
    TrainedNetwork,
    TrainingContext,
)

DEPLOYED_TESTS = 50
"""At most so many tests are answered by the exported network, spread evenly over all."""


class DepthPrunedPretrainedRecipe:
    """The recipe of a model of one's own; reads the folder that the environment names."""

    def build(self, arm: Arm) -> NextToken:
        """The deployed network, in eval mode, with weights that depend on nothing but the arm."""
        return NextToken(pruned_shape(read_folder(), int(arm.parameters["removed_blocks"]))).eval()

    def example_inputs(
        self,
        arm: Arm,  # noqa: ARG002  (the same for all)
        count: int,
        context: TrainingContext,  # noqa: ARG002  (the same on all seeds)
    ) -> list[tuple[Tensor, ...]]:
        """`count` chunks of prose, each 1 x `CHUNK` int64, again from the first where few."""
        _, tested = prose_chunks(read_folder())
        return [(tested[[number % len(tested)]],) for number in range(count)]

    def train(
        self, arm: Arm, context: TrainingContext
    ) -> Generator[CurvePoint, None, TrainedNetwork]:
        """Pruning, then recovery; deterministic in (arm, seed) on one thread of the CPU."""
        return recover(arm, context, load_world(context.cache_folder))

    def evaluate_deployed(
        self,
        arm: Arm,  # noqa: ARG002  (the network has it all)
        network: nn.Module,
        deploy: Deployment,
        context: TrainingContext,  # noqa: ARG002  (the tests are the folder's)
    ) -> Mapping[str, Estimate]:
        """Speed and accuracy of decoding in the precision of the arm."""
        folder = read_folder()
        tokenizer = load_tokenizer(folder)
        examination = Examination(
            tokenizer,
            TemplateChat(tokenizer, folder.settings.answers),
            folder.tests[:: -(-len(folder.tests) // DEPLOYED_TESTS)],
            folder.settings.max_response_tokens,
        )
        return deployed_metrics(cast(NextToken, network), examination, deploy)


def recipe() -> Recipe:
    """The door by which the registry loads this module.

    Raises: ModuleNotFoundError if what the extra `llm` brings is not installed.
    """
    for module in ("transformers", "peft"):
        if find_spec(module) is None:
            raise ModuleNotFoundError(
                f"the search space depth_pruned_pretrained needs {module}; "
                "run: pip install 'archfront[llm]'",
                name=module,
            )
    return DepthPrunedPretrainedRecipe()
