"""Removes blocks from the unpruned model, fine-tunes what remains and tells what it still knows."""

import math
from collections.abc import Generator
from dataclasses import astuple, dataclass, field
from importlib.util import find_spec
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.language.depth_pruned_llm import chat_tasks
from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_llm.chat_tasks import TASKS
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
from search_spaces.language.depth_pruned_llm.lora import merged, with_adapters
from search_spaces.language.depth_pruned_llm.network import (
    BLOCKS,
    NextToken,
    small_llama,
    word_tokenizer,
)
from search_spaces.language.depth_pruned_llm.world import (
    CHAT,
    EVEN_LENGTH,
    World,
    choose_blocks,
    fine_tuning_set,
    load_world,
    metrics_of,
    pruned_copy,
)
from search_spaces.recipe import (
    ArmInfeasible,
    CurvePoint,
    Estimate,
    Recipe,
    TrainedNetwork,
    TrainingContext,
    TrainingState,
)

SEEN_EXCHANGES = 2_560
"""Exchanges per fine-tuning, whatever batch size and set: the budget that all arms share."""

_POINTS = 20  # of the learning curve


@dataclass
class _Stand:
    """Where a training is: what it trains on, and how far it has come."""

    tuning: FineTuning
    removed: tuple[int, ...]
    exchanges: list[Exchange]
    statistics: DistillationStatistics
    losses: list[float] = field(default_factory=list)


class _Run:
    """One training of one arm."""

    def __init__(self, arm: Arm, context: TrainingContext, world: World) -> None:
        self._arm = arm
        self._context = context
        self._world = world
        self._batch_size = int(arm.parameters["batch_size"])
        planned = SEEN_EXCHANGES // self._batch_size
        self._steps = planned if context.max_steps is None else min(planned, context.max_steps)
        self._every = max(1, self._steps // _POINTS)

    def begin(self) -> _Stand:
        """Before the first step: blocks chosen and removed, the fine-tuning set written."""
        removed = choose_blocks(self._world, self._arm)
        # Of a large set no more than will be seen is rewritten.
        count = min(int(self._arm.parameters["exchanges"]), self._steps * self._batch_size)
        exchanges = fine_tuning_set(self._world, count)
        statistics = DistillationStatistics()
        if self._arm.parameters["responses"] == "self_distilled":
            exchanges, statistics = self_distil(
                self._world.network,
                self._world.tokenizer,
                CHAT,
                exchanges,
                chat_tasks.MAX_RESPONSE_TOKENS,
            )
        return self._standing(removed, exchanges, statistics)

    def _standing(
        self,
        removed: tuple[int, ...],
        exchanges: list[Exchange],
        statistics: DistillationStatistics,
    ) -> _Stand:
        given, tokenizer = self._arm.parameters, self._world.tokenizer
        pruned = pruned_copy(self._world, removed)
        network: nn.Module = pruned
        if given["tuning"] == "lora":
            rank, alpha_ratio = int(given["lora_rank"]), float(given["lora_alpha_ratio"])
            network = with_adapters(pruned, rank, alpha_ratio)
        tokenized = tokenize_exchanges(tokenizer, CHAT, exchanges)

        def batch_of(step: int) -> Batch:
            rows = rows_of_step(step, self._batch_size, len(tokenized), self._context.seed)
            return padded([tokenized[row] for row in rows], tokenizer.pad_token_id)

        tuning = FineTuning(
            network,
            batch_of,
            steps=self._steps,
            peak_rate=float(given["learning_rate"]),
            warmup_share=float(given["warmup_share"]),
        )
        return _Stand(tuning, removed, exchanges, statistics)

    def go_on(self, state: TrainingState) -> _Stand:
        """Where the training stood when it gave this state."""
        exchanges = [Exchange(*texts) for texts in state["exchanges"]]
        statistics = DistillationStatistics(*state["statistics"])
        stand = self._standing(tuple(state["removed"]), exchanges, statistics)
        stand.tuning.restore(state["tuning"])
        stand.losses = list(state["losses"])
        return stand

    def _keep(self, stand: _Stand) -> None:
        if not self._context.checkpoints.is_due:
            return
        state = {
            "removed": stand.removed,
            "exchanges": [astuple(exchange) for exchange in stand.exchanges],
            "statistics": astuple(stand.statistics),
            "tuning": stand.tuning.state(),
            "losses": stand.losses,
        }
        self._context.checkpoints.save(stand.tuning.done, state)

    def recover(self, stand: _Stand) -> Generator[CurvePoint, None, None]:
        """The steps of the fine-tuning that are still to do. Raises: ArmInfeasible."""
        stand.tuning.network.train()
        while stand.tuning.done < self._steps:
            loss = stand.tuning.step()
            if not math.isfinite(loss):
                raise ArmInfeasible(
                    f"training diverged: the loss became {loss} at step {stand.tuning.done}; "
                    "lower learning_rate"
                )
            stand.losses.append(loss)
            if stand.tuning.done % self._every == 0:
                yield CurvePoint(stand.tuning.done, {"train_loss": self._recent_loss(stand)})
            self._keep(stand)

    def _recent_loss(self, stand: _Stand) -> float:
        return fmean(stand.losses[-self._every :])

    def report(self, stand: _Stand) -> TrainedNetwork:
        """The recovered network with its metrics. Raises: ArmInfeasible if it has diverged."""
        tuned = stand.tuning.network
        network: Any = merged(tuned) if self._arm.parameters["tuning"] == "lora" else tuned
        network.eval().requires_grad_(requires_grad=True)
        if not all(torch.isfinite(weight).all() for weight in network.parameters()):
            raise ArmInfeasible(
                "training diverged: a weight is not finite after the last step; lower learning_rate"
            )
        metrics = dict(metrics_of(network, self._world))
        metrics["train_loss"] = Estimate(self._recent_loss(stand))
        notes: dict[str, str | int | float | bool] = {
            "steps": self._steps,
            "removed_blocks": ",".join(map(str, stand.removed)),
            "unpruned_accuracy": self._world.scores.accuracy().mean,
        }
        if self._arm.parameters["responses"] == "self_distilled":
            notes |= {
                "responses_accepted": stand.statistics.accepted,
                "responses_wrong": stand.statistics.wrong,
                "responses_unanswered": stand.statistics.unanswered,
            }
        return TrainedNetwork(network=NextToken(network).eval(), metrics=metrics, notes=notes)


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
        torch.manual_seed(context.seed)
        run = _Run(
            arm, context, load_world(context.cache_folder, self._world_seed, context.max_steps)
        )
        with context.checkpoints.restoring() as state:
            stand = run.begin() if state is None else run.go_on(state)
        yield from run.recover(stand)
        return run.report(stand)


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
