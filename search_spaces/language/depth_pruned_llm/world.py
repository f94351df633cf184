"""A model to prune, and all that its recoveries are trained and judged by."""

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from torch import Tensor

from search_spaces.arm import Arm
from search_spaces.language.depth_pruned_llm.chat import Chat, Exchange
from search_spaces.language.depth_pruned_llm.decoder_blocks import decoder_blocks, remove_blocks
from search_spaces.language.depth_pruned_llm.distillation import DistillationStatistics
from search_spaces.language.depth_pruned_llm.importance import (
    BlockCriterion,
    blocks_to_remove,
    border_states,
)
from search_spaces.recipe import ArmInfeasible, Estimate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class World(Protocol):
    """What all trials of one search share; change nothing in it."""

    @property
    def network(self) -> "PreTrainedModel":
        """The unpruned model, in eval mode."""
        ...

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Its tokenizer."""
        ...

    @property
    def chat(self) -> Chat:
        """How exchanges are put to it."""
        ...

    def calibration_texts(self, count: int) -> Sequence[Tensor]:
        """Batches of B x T token numbers, at most `count` texts in all, of one length."""
        ...

    def fine_tuning_set(self, count: int, *, of_the_merged: bool) -> list[Exchange]:
        """At most `count` exchanges; a larger set begins with a smaller.

        of_the_merged: those of the network that is to be merged with the first.
        Raises: ArmInfeasible if there are none.
        """
        ...

    def rewritten(
        self, exchanges: Sequence[Exchange]
    ) -> tuple[list[Exchange], DistillationStatistics]:
        """The exchanges in the unpruned model's own words, where these are right."""
        ...

    def metrics_of(self, network: "PreTrainedModel") -> Mapping[str, Estimate]:
        """All metrics of a pruned network in eval mode that need no training to be told."""
        ...

    def notes(self) -> Mapping[str, str | int | float | bool]:
        """What a result should tell of the unpruned model."""
        ...


def choose_blocks(world: World, arm: Arm) -> tuple[int, ...]:
    """The numbers of the blocks that the arm removes, in rising order.

    Raises: ArmInfeasible if no block would stay.
    """
    count = int(arm.parameters["removed_blocks"])
    if count == 0:
        return ()
    blocks = len(decoder_blocks(world.network))
    if count >= blocks:
        raise ArmInfeasible(f"removed_blocks is {count}, and the model has {blocks} blocks")
    texts = world.calibration_texts(int(arm.parameters["calibration_texts"]))
    criterion = cast(BlockCriterion, arm.parameters["removal_criterion"])
    return blocks_to_remove(criterion, count, border_states(world.network, texts))


def pruned_copy(world: World, removed: tuple[int, ...]) -> "PreTrainedModel":
    """The unpruned model without these blocks; the world's own stays as it is."""
    network = copy.deepcopy(world.network)
    remove_blocks(network, removed)
    return network
