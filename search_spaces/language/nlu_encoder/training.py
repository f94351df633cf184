"""Trains the parent, prunes it to the deployed network and trains that to recover."""

import math
from collections.abc import Generator, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from search_spaces.arm import Arm
from search_spaces.compression.schedules import cubic_sparsity
from search_spaces.language.nlu_encoder.batches import IGNORED_TAG, Batch, CommandTensors
from search_spaces.language.nlu_encoder.commands import CommandData, load_commands
from search_spaces.language.nlu_encoder.frames import score
from search_spaces.language.nlu_encoder.network import (
    INTENT_COUNT,
    TAG_COUNT,
    CommandEncoder,
    EncoderShape,
)
from search_spaces.language.nlu_encoder.pruning import WeightMasks, prunes, shrink
from search_spaces.recipe import (
    ArmInfeasible,
    CurvePoint,
    Estimate,
    Recipe,
    TrainedNetwork,
    TrainingContext,
)

SEEN_COMMANDS = 32_768
"""Training commands per arm, whatever its batch size: the budget that all arms share."""

_POINTS = 20  # of the learning curve
_POINTS_PER_VALIDATION = 5
_GRADIENT_NORM = 1.0
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


def _rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then linear decay; never 0 at a step that is taken."""
    rise = (step + 1) / (warmup + 1)
    return min(rise, 1.0) * (steps - step) / steps


class _Phase:
    """Optimizer steps of one network under one schedule of the learning rate."""

    def __init__(self, network: CommandEncoder, arm: Arm, steps: int, peak_rate: float) -> None:
        given = arm.parameters
        self.network = network
        self._steps = steps
        self._peak_rate = peak_rate
        self._warmup = int(float(given["warmup_share"]) * steps)
        self._smoothing = float(given["label_smoothing"])
        self._slot_weight = float(given["slot_loss_weight"])
        matrices = [weight for weight in network.parameters() if weight.ndim > 1]
        vectors = [weight for weight in network.parameters() if weight.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": float(given["weight_decay"])},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=peak_rate,
            fused=True,
        )

    def _loss(self, batch: Batch) -> Tensor:
        intent_scores, tag_scores = self.network(batch.ngrams)
        intent_loss = cross_entropy(intent_scores, batch.intents, label_smoothing=self._smoothing)
        slot_loss = cross_entropy(
            tag_scores.flatten(0, 1),
            batch.tags.flatten(),
            ignore_index=IGNORED_TAG,
            label_smoothing=self._smoothing,
        )
        return intent_loss + self._slot_weight * slot_loss

    def step(self, number: int, batch: Batch) -> float:
        """One optimizer step; gives its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._peak_rate * _rate_factor(number, self._steps, self._warmup)
        loss = self._loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_NORM)
        self._optimizer.step()
        return loss.item()


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


class _Run:
    """One training of one arm."""

    def __init__(self, arm: Arm, context: TrainingContext) -> None:
        self._arm = arm
        self._data = _data(context.cache_folder)
        self._buckets = int(arm.parameters["embedding_buckets"])
        self._training = CommandTensors(self._data, self._data.training, self._buckets)
        self._validation = CommandTensors(self._data, self._data.validation, self._buckets)
        batch_size = int(arm.parameters["batch_size"])
        planned = SEEN_COMMANDS // batch_size
        self._steps = planned if context.max_steps is None else min(planned, context.max_steps)
        self._order = torch.Generator().manual_seed(context.seed)
        self._batches: Iterator[Batch] = self._training.shuffled(batch_size, self._order)
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

    def train_parent(self, parent: CommandEncoder) -> Generator[CurvePoint, None, None]:
        steps = self._steps - self._recovery_steps()
        phase = _Phase(parent, self._arm, steps, float(self._arm.parameters["learning_rate"]))
        parent.train()
        for number in range(steps):
            self._curve.add(phase.step(number, next(self._batches)))
            yield from self._points(parent)

    def shrink(self, parent: CommandEncoder) -> tuple[CommandEncoder, list[int]]:
        rows = torch.randperm(len(self._training), generator=self._order)[:_CALIBRATION_COMMANDS]
        return shrink(parent, self._arm, self._training.take(rows).ngrams)

    def recover(self, network: CommandEncoder) -> Generator[CurvePoint, None, None]:
        steps = self._recovery_steps()
        given = self._arm.parameters
        rate = float(given["learning_rate"]) * float(given["recovery_lr_ratio"])
        phase = _Phase(network, self._arm, steps, rate)
        masks = WeightMasks(network, self._arm)
        is_cubic = given["sparsity_schedule"] == "cubic"
        rising = int(_SPARSIFYING_SHARE * steps) if is_cubic else 0
        every = max(1, rising // _REMAKES)
        network.train()
        for number in range(steps):
            if masks and number <= rising and (number % every == 0 or number == rising):
                masks.remake(cubic_sparsity(number, 0, rising, final=1.0))
                masks.apply()
            self._curve.add(phase.step(number, next(self._batches)))
            masks.apply()
            yield from self._points(network)
        if steps == 0:  # too short a run to recover in, but never a denser network than asked
            masks.remake(1.0)
            masks.apply()

    def report(self, network: CommandEncoder, dropped: list[int]) -> TrainedNetwork:
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
        network = CommandEncoder(EncoderShape.of_parent(arm))
        dropped: list[int] = []
        yield from run.train_parent(network)
        if prunes(arm):
            network, dropped = run.shrink(network)
            yield from run.recover(network)
        return run.report(network, dropped)


def recipe() -> Recipe:
    """The door by which the registry loads this module."""
    return NluRecipe()
