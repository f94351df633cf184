"""Trains the parent, prunes it to the deployed network and trains that to recover."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import cast

import torch
from torch import Tensor

from search_spaces.arm import Arm
from search_spaces.compression.schedules import cubic_sparsity
from search_spaces.language.nlu_encoder.batches import CommandTensors
from search_spaces.language.nlu_encoder.commands import CommandData, load_commands
from search_spaces.language.nlu_encoder.frames import score
from search_spaces.language.nlu_encoder.network import (
    INTENT_COUNT,
    TAG_COUNT,
    CommandEncoder,
    EncoderShape,
)
from search_spaces.language.nlu_encoder.phase import Phase
from search_spaces.language.nlu_encoder.pruning import WeightMasks, prunes, shrink
from search_spaces.recipe import (
    ArmInfeasible,
    CurvePoint,
    Estimate,
    Recipe,
    TrainedNetwork,
    TrainingContext,
    TrainingState,
)

SEEN_COMMANDS = 32_768
"""Training commands per arm, whatever its batch size: the budget that all arms share."""

_POINTS = 20  # of the learning curve
_POINTS_PER_VALIDATION = 5
_CALIBRATION_COMMANDS = 256
_SPARSIFYING_SHARE = 0.6  # of the recovery: the masks rise, then the rest trains under fixed masks
_REMAKES = 30  # of the masks, while they rise


@lru_cache(maxsize=1)
def _data(cache_folder: Path) -> CommandData:
    data = load_commands(cache_folder)
    if (len(data.intents), len(data.tags)) != (INTENT_COUNT, TAG_COUNT):
        raise RuntimeError(
            f"home-assistant-intents {version('home-assistant-intents')} has {len(data.intents)} "
            f"intents and {len(data.tags)} tags, this search space is made for {INTENT_COUNT} and "
            f"{TAG_COUNT}; install the version that archfront[language] names"
        )
    return data


class _Curve:
    """Gathers losses and says when a point of the learning curve is due."""

    def __init__(self, steps: int) -> None:
        self._every = max(1, steps // _POINTS)
        self.losses: list[float] = []

    def add(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ArmInfeasible(
                f"training diverged: the loss became {loss} at step {len(self.losses) + 1}; "
                "lower learning_rate or raise warmup_share"
            )
        self.losses.append(loss)

    @property
    def is_due(self) -> bool:
        return len(self.losses) % self._every == 0

    @property
    def validates(self) -> bool:
        return len(self.losses) % (self._every * _POINTS_PER_VALIDATION) == 0

    def recent_loss(self) -> float:
        return fmean(self.losses[-self._every :])


@dataclass
class _Stand:
    """Where a training is: the phase under way, how many of its steps are done, what it needs.

    masks: of the recovery; None while the parent trains. dropped: the layers taken out for it.
    """

    phase: Phase
    done: int = 0
    masks: WeightMasks | None = None
    dropped: tuple[int, ...] = ()


class _Run:
    """One training of one arm."""

    def __init__(self, arm: Arm, context: TrainingContext) -> None:
        self._arm = arm
        self._data = _data(context.cache_folder)
        self._checkpoints = context.checkpoints
        self._buckets = int(arm.parameters["embedding_buckets"])
        self._training = CommandTensors(self._data, self._data.training, self._buckets)
        self._validation = CommandTensors(self._data, self._data.validation, self._buckets)
        batch_size = int(arm.parameters["batch_size"])
        planned = SEEN_COMMANDS // batch_size
        self._steps = planned if context.max_steps is None else min(planned, context.max_steps)
        self._order = torch.Generator().manual_seed(context.seed)
        self._batches = self._training.shuffled(batch_size, self._order)
        self._curve = _Curve(self._steps)

    def _recovery_steps(self) -> int:
        if not prunes(self._arm):
            return 0
        return round(float(self._arm.parameters["recovery_share"]) * self._steps)

    def _points(self, network: CommandEncoder) -> Generator[CurvePoint, None, None]:
        """The point that is due, if one is; leaves the global random state as it was."""
        if not self._curve.is_due:
            return
        metrics = {"train_loss": self._curve.recent_loss()}
        if self._curve.validates:
            network.eval()
            scores = score(network, self._validation, self._data.tags)
            network.train()
            metrics["validation_frame_error"] = scores.frame_error.mean
        random_state = torch.get_rng_state()  # dropout's; the caller may draw from it meanwhile
        yield CurvePoint(step=len(self._curve.losses), metrics=metrics)
        torch.set_rng_state(random_state)

    def begin(self) -> _Stand:
        """Before the first step: the parent with fresh weights."""
        network = CommandEncoder(EncoderShape.of_parent(self._arm))
        steps = self._steps - self._recovery_steps()
        rate = float(self._arm.parameters["learning_rate"])
        return _Stand(Phase(network, self._arm, steps, rate))

    def shrink(self, parent: CommandEncoder) -> _Stand:
        """Before the recovery: the deployed network with the parent's weights."""
        rows = torch.randperm(len(self._training), generator=self._order)[:_CALIBRATION_COMMANDS]
        network, dropped = shrink(parent, self._arm, self._training.take(rows).ngrams)
        return self._recovering(network, tuple(dropped))

    def _recovering(self, network: CommandEncoder, dropped: tuple[int, ...]) -> _Stand:
        given = self._arm.parameters
        rate = float(given["learning_rate"]) * float(given["recovery_lr_ratio"])
        phase = Phase(network, self._arm, self._recovery_steps(), rate)
        return _Stand(phase, masks=WeightMasks(network, self._arm), dropped=dropped)

    def go_on(self, state: TrainingState) -> _Stand:
        """Where the training stood when it gave this state."""
        if state["masks"] is None:
            stand = self.begin()
        else:
            network = CommandEncoder(EncoderShape.of_deployed(self._arm))
            stand = self._recovering(network, tuple(state["dropped"]))
            cast("WeightMasks", stand.masks).restore(state["masks"])
        stand.phase.restore(state["phase"])
        stand.done = state["done"]
        self._curve.losses = list(state["losses"])
        self._batches.restore(state["batches"])
        torch.set_rng_state(state["random"])  # last: to build a network draws from it
        return stand

    def _keep(self, stand: _Stand) -> None:
        if not self._checkpoints.is_due:
            return
        state = {
            "phase": stand.phase.state(),
            "done": stand.done,
            "masks": None if stand.masks is None else stand.masks.state(),
            "dropped": stand.dropped,
            "losses": self._curve.losses,
            "batches": self._batches.state(),
            "random": torch.get_rng_state(),
        }
        self._checkpoints.save(len(self._curve.losses), state)

    def train_parent(self, stand: _Stand) -> Generator[CurvePoint, None, None]:
        network = stand.phase.network
        network.train()
        for number in range(stand.done, stand.phase.steps):
            self._curve.add(stand.phase.step(number, next(self._batches)))
            yield from self._points(network)
            stand.done = number + 1
            self._keep(stand)

    def recover(self, stand: _Stand, masks: WeightMasks) -> Generator[CurvePoint, None, None]:
        network, steps = stand.phase.network, stand.phase.steps
        is_cubic = self._arm.parameters["sparsity_schedule"] == "cubic"
        rising = int(_SPARSIFYING_SHARE * steps) if is_cubic else 0
        every = max(1, rising // _REMAKES)
        network.train()
        for number in range(stand.done, steps):
            if masks and number <= rising and (number % every == 0 or number == rising):
                masks.remake(cubic_sparsity(number, 0, rising, final=1.0))
                masks.apply()
            self._curve.add(stand.phase.step(number, next(self._batches)))
            masks.apply()
            yield from self._points(network)
            stand.done = number + 1
            self._keep(stand)
        if steps == 0:  # too short a run to recover in, but never a denser network than asked
            masks.remake(1.0)
            masks.apply()

    def report(self, network: CommandEncoder, dropped: tuple[int, ...]) -> TrainedNetwork:
        network.eval()
        if not all(torch.isfinite(weight).all() for weight in network.parameters()):
            raise ArmInfeasible(
                "training diverged: a weight is not finite after the last step; "
                "lower learning_rate or raise warmup_share"
            )
        test = CommandTensors(self._data, self._data.test, self._buckets)
        scores = score(network, test, self._data.tags)
        validation = score(network, self._validation, self._data.tags)
        metrics = {
            "frame_error": scores.frame_error,
            "intent_error": scores.intent_error,
            "slot_error": scores.slot_error,
            "validation_frame_error": validation.frame_error,
        }
        if self._curve.losses:
            metrics["train_loss"] = Estimate(self._curve.recent_loss())
        return TrainedNetwork(
            network=network,
            metrics=metrics,
            notes={
                "steps": self._steps,
                "recovery_steps": self._recovery_steps(),
                "dropped_layers": ",".join(map(str, dropped)),
                "training_commands": len(self._training),
                "test_commands": len(test),
            },
        )


class NluRecipe:
    """The recipe of the command encoder."""

    def build(self, arm: Arm) -> CommandEncoder:
        """The deployed network, in eval mode, with weights that depend on nothing but the arm."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return CommandEncoder(EncoderShape.of_deployed(arm)).eval()

    def example_inputs(
        self, arm: Arm, count: int, context: TrainingContext
    ) -> list[tuple[Tensor, ...]]:
        """`count` test commands, each 1 x MAX_WORDS x NGRAMS_PER_WORD int64."""
        data = _data(context.cache_folder)
        test = CommandTensors(data, data.test, int(arm.parameters["embedding_buckets"]))
        generator = torch.Generator().manual_seed(context.seed)
        rows = torch.randperm(len(test), generator=generator)
        return [(test.take(rows[[place % len(test)]]).ngrams,) for place in range(count)]

    def train(
        self, arm: Arm, context: TrainingContext
    ) -> Generator[CurvePoint, None, TrainedNetwork]:
        """Parent, pruning, recovery; deterministic in (arm, seed) on one thread."""
        torch.manual_seed(context.seed)
        run = _Run(arm, context)
        with context.checkpoints.restoring() as state:
            stand = run.begin() if state is None else run.go_on(state)
        if stand.masks is None:
            yield from run.train_parent(stand)
            if prunes(arm):
                stand = run.shrink(stand.phase.network)
        if stand.masks is not None:
            yield from run.recover(stand, stand.masks)
        return run.report(stand.phase.network, stand.dropped)


def recipe() -> Recipe:
    """The door by which the registry loads this module."""
    return NluRecipe()
