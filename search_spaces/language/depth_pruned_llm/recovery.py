"""Recovers what pruning has left: one fine-tuning, or two whose networks are merged."""

import math
from collections.abc import Generator
from dataclasses import astuple, dataclass, field
from statistics import fmean
from typing import Any, cast

import torch
from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_llm.distillation import DistillationStatistics
from search_spaces.language.depth_pruned_llm.fine_tuning import (
    Batch,
    FineTuning,
    padded,
    rows_of_step,
    tokenize_exchanges,
)
from search_spaces.language.depth_pruned_llm.lora import LoraTargets, merged, with_adapters
from search_spaces.language.depth_pruned_llm.merging import slerp_weights
from search_spaces.language.depth_pruned_llm.network import NextToken
from search_spaces.language.depth_pruned_llm.world import World, choose_blocks, pruned_copy
from search_spaces.recipe import (
    ArmInfeasible,
    CurvePoint,
    Estimate,
    TrainedNetwork,
    TrainingContext,
    TrainingState,
)

_POINTS = 20  # of the learning curve


@dataclass
class Stand:
    """Where a training is: what it trains on, and how far it has come.

    first: the weights of the network that is tuned already, while the second one is.
    losses: of all steps taken, of both.
    """

    tuning: FineTuning
    removed: tuple[int, ...]
    exchanges: list[Exchange]
    statistics: DistillationStatistics
    first: dict[str, Tensor] | None
    losses: list[float] = field(default_factory=list)


def _steps_of_each(arm: Arm, max_steps: int | None) -> tuple[int, ...]:
    """Of one fine-tuning, or of two, which share the steps where these are limited."""
    planned = int(arm.parameters["seen_exchanges"]) // int(arm.parameters["batch_size"])
    merges = arm.parameters["merging"] == "slerp"
    if max_steps is None:
        return (planned, planned) if merges else (planned,)
    shares = (max_steps - max_steps // 2, max_steps // 2) if merges else (max_steps,)
    return tuple(min(planned, share) for share in shares)


def recover(
    arm: Arm, context: TrainingContext, world: World
) -> Generator[CurvePoint, None, TrainedNetwork]:
    """Pruning, then recovery, from the beginning or from where it was broken off."""
    recovery = Recovery(arm, context, world)
    with context.checkpoints.restoring() as state:
        stand = recovery.begin() if state is None else recovery.go_on(state)
    stand = yield from recovery.steps(stand)
    return recovery.report(stand)


class Recovery:
    """Of one arm, on the world that all share."""

    def __init__(self, arm: Arm, context: TrainingContext, world: World) -> None:
        self._arm = arm
        self._context = context
        self._world = world
        self._batch_size = int(arm.parameters["batch_size"])
        self._steps_of_each = _steps_of_each(arm, context.max_steps)
        self._every = max(1, self._steps_of_each[0] // _POINTS)

    def begin(self) -> Stand:
        """Before the first step: blocks chosen and removed, the fine-tuning set written."""
        return self._beginning(choose_blocks(self._world, self._arm), None)

    def begin_second(self, stand: Stand) -> Stand:
        """The same with the other set, the first network being recovered."""
        first = self._recovered(stand).state_dict()
        second = self._beginning(stand.removed, first)
        both = zip(astuple(stand.statistics), astuple(second.statistics), strict=True)
        second.statistics = DistillationStatistics(*map(sum, both))
        second.losses = stand.losses
        return second

    def _beginning(self, removed: tuple[int, ...], first: dict[str, Tensor] | None) -> Stand:
        # Of a large set no more than will be seen is rewritten.
        seen = self._batch_size * max(1, self._steps(first))
        count = min(int(self._arm.parameters["exchanges"]), seen)
        exchanges = self._world.fine_tuning_set(count, of_the_merged=first is not None)
        statistics = DistillationStatistics()
        if self._arm.parameters["responses"] == "self_distilled":
            exchanges, statistics = self._world.rewritten(exchanges)
        return self._standing(removed, exchanges, statistics, first)

    def _standing(
        self,
        removed: tuple[int, ...],
        exchanges: list[Exchange],
        statistics: DistillationStatistics,
        first: dict[str, Tensor] | None,
    ) -> Stand:
        given, tokenizer = self._arm.parameters, self._world.tokenizer
        torch.manual_seed(self._context.seed)  # of the adapters, whatever was drawn before
        pruned = pruned_copy(self._world, removed)
        network: nn.Module = pruned
        if given["tuning"] == "lora":
            network = with_adapters(
                pruned,
                int(given["lora_rank"]),
                float(given["lora_alpha_ratio"]),
                cast(LoraTargets, given["lora_targets"]),
            )
        tokenized = tokenize_exchanges(tokenizer, self._world.chat, exchanges)

        def batch_of(step: int) -> Batch:
            rows = rows_of_step(step, self._batch_size, len(tokenized), self._context.seed)
            return padded([tokenized[row] for row in rows], tokenizer.pad_token_id)

        tuning = FineTuning(
            network,
            batch_of,
            steps=self._steps(first),
            peak_rate=float(given["learning_rate"]),
            warmup_share=float(given["warmup_share"]),
        )
        return Stand(tuning, removed, exchanges, statistics, first)

    def go_on(self, state: TrainingState) -> Stand:
        """Where the training stood when it gave this state."""
        exchanges = [Exchange(*texts) for texts in state["exchanges"]]
        statistics = DistillationStatistics(*state["statistics"])
        stand = self._standing(tuple(state["removed"]), exchanges, statistics, state["first"])
        stand.tuning.restore(state["tuning"])
        stand.losses = list(state["losses"])
        return stand

    def _keep(self, stand: Stand) -> None:
        if not self._context.checkpoints.is_due:
            return
        state = {
            "removed": stand.removed,
            "exchanges": [astuple(exchange) for exchange in stand.exchanges],
            "statistics": astuple(stand.statistics),
            "tuning": stand.tuning.state(),
            "losses": stand.losses,
            "first": stand.first,
        }
        self._context.checkpoints.save(len(stand.losses), state)

    def _steps(self, first: dict[str, Tensor] | None) -> int:
        return self._steps_of_each[0 if first is None else 1]

    def steps(self, stand: Stand) -> Generator[CurvePoint, None, Stand]:
        """All steps that are still to do, of one fine-tuning or of two. Raises: ArmInfeasible."""
        yield from self._tune(stand)
        if len(self._steps_of_each) > 1 and stand.first is None:
            stand = self.begin_second(stand)
            yield from self._tune(stand)
        return stand

    def _tune(self, stand: Stand) -> Generator[CurvePoint, None, None]:
        stand.tuning.network.train()
        while stand.tuning.done < stand.tuning.steps:
            stand.losses.append(stand.tuning.step())
            steps, loss = len(stand.losses), stand.losses[-1]
            if not math.isfinite(loss):
                raise ArmInfeasible(
                    f"training diverged: the loss became {loss} at step {steps}; "
                    "lower learning_rate"
                )
            if stand.tuning.done % self._every == 0:
                yield CurvePoint(steps, {"train_loss": self._recent_loss(stand)})
            self._keep(stand)

    def _recent_loss(self, stand: Stand) -> float:
        return fmean(stand.losses[-self._every :])

    def _recovered(self, stand: Stand) -> Any:
        """The network of the fine-tuning that is done, its adapters merged into the weights."""
        tuned = stand.tuning.network
        return merged(tuned) if self._arm.parameters["tuning"] == "lora" else tuned

    def report(self, stand: Stand) -> TrainedNetwork:
        """The recovered network with its metrics. Raises: ArmInfeasible if it has diverged."""
        network = self._recovered(stand)
        if stand.first is not None:
            share = float(self._arm.parameters["merge_share"])
            network.load_state_dict(slerp_weights(stand.first, network.state_dict(), share))
        network.eval().requires_grad_(requires_grad=True)
        if not all(torch.isfinite(weight).all() for weight in network.parameters()):
            raise ArmInfeasible(
                "training diverged: a weight is not finite after the last step; lower learning_rate"
            )
        metrics = dict(self._world.metrics_of(network))
        network.to("cpu")  # where it is kept and exported, whatever it was trained on
        metrics["train_loss"] = Estimate(self._recent_loss(stand))
        notes: dict[str, str | int | float | bool] = {
            "steps": len(stand.losses),
            "removed_blocks": ",".join(map(str, stand.removed)),
            **self._world.notes(),
        }
        if self._arm.parameters["responses"] == "self_distilled":
            notes |= {
                "responses_accepted": stand.statistics.accepted,
                "responses_wrong": stand.statistics.wrong,
                "responses_unanswered": stand.statistics.unanswered,
            }
        return TrainedNetwork(network=NextToken(network).eval(), metrics=metrics, notes=notes)
