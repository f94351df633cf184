"""Trains the dense network, masks it once, trains it again under the mask [Mishra2021].

[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378, section 4.
"""

import copy
import math
from collections.abc import Generator
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.compression.schedules import cubic_sparsity
from search_spaces.compression.storage import VALUE_BYTES, network_bytes
from search_spaces.compression.two_four_sparsity.network import build_network
from search_spaces.compression.two_four_sparsity.phase import Phase
from search_spaces.compression.two_four_sparsity.scoring import count_errors, error_of
from search_spaces.compression.two_four_sparsity.sparsity import Sparsity
from search_spaces.compression.two_four_sparsity.task import Task, load_task
from search_spaces.language.nlu_encoder.frames import error_share
from search_spaces.recipe import (
    ArmInfeasible,
    CurvePoint,
    Estimate,
    Recipe,
    TrainedNetwork,
    TrainingContext,
    TrainingState,
)

BATCH_SIZE = 64

_POINTS = 20  # of the learning curve
_POINTS_PER_VALIDATION = 5
_CALIBRATION_BATCH = 256
_RISING_SHARE = 0.6  # of the retraining: the masks rise, then the rest trains under fixed masks
_REMAKES = 30  # of the masks, while they rise


def planned_steps(arm: Arm, seen: int, max_steps: int | None) -> tuple[int, int]:
    """Steps of the dense training and of the retraining, cut alike where there is a limit.

    seen: examples of the dense training.
    """
    dense = seen // BATCH_SIZE
    retraining = round(float(arm.parameters["retrain_share"]) * dense)
    total = dense + retraining
    if max_steps is None or max_steps >= total:
        return dense, retraining
    retraining = round(max_steps * retraining / total)
    return max_steps - retraining, retraining


@dataclass(frozen=True)
class _Found:
    """What the dense network was found to be worth before its retraining.

    dense_wrong, masked_wrong: test examples; kept_magnitude: see the space's metric.
    """

    dense_wrong: int
    masked_wrong: int
    kept_magnitude: float


@dataclass
class _Stand:
    """Where a training is. found: None while the dense network trains."""

    phase: Phase
    done: int = 0
    found: _Found | None = None


class _Run:
    """One training of one arm."""

    def __init__(self, arm: Arm, context: TrainingContext) -> None:
        self._arm, self._seed = arm, context.seed
        self._task: Task = load_task(str(arm.parameters["network"]), context.cache_folder)
        self._checkpoints = context.checkpoints
        self._dense_steps, self._retraining_steps = planned_steps(
            arm, self._task.seen, context.max_steps
        )
        order = torch.Generator().manual_seed(context.seed)
        self._batches = self._task.training.shuffled(BATCH_SIZE, order)
        steps = self._dense_steps + self._retraining_steps
        self._points_every = max(1, steps // _POINTS)
        self._losses: list[float] = []

    def begin(self) -> _Stand:
        """Before the first step."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            network = build_network(self._arm)
        rate = float(self._arm.parameters["learning_rate"])
        return _Stand(Phase(network, self._dense_steps, rate))

    def _retraining(self, network: nn.Module, found: _Found) -> _Stand:
        given = self._arm.parameters
        rate = float(given["learning_rate"]) * float(given["retrain_lr_ratio"])
        return _Stand(Phase(network, self._retraining_steps, rate), found=found)

    def go_on(self, state: TrainingState) -> _Stand:
        """Where the training stood when it gave this state."""
        stand = self.begin()
        if state["found"] is not None:
            stand = self._retraining(stand.phase.network, _Found(*state["found"]))
        stand.phase.restore(state["phase"])
        stand.done = state["done"]
        self._losses = list(state["losses"])
        self._batches.restore(state["batches"])
        return stand

    def _sparsity(self, network: nn.Module) -> Sparsity:
        rows = torch.arange(min(_CALIBRATION_BATCH, len(self._task.training)))
        calibration: Tensor = self._task.training.take(rows).inputs
        return Sparsity(network, self._arm, [calibration], self._seed)

    def _step(self, stand: _Stand) -> Generator[CurvePoint, None, None]:
        """One optimizer step, the point that is due after it, and the state to keep."""
        stand.phase.network.train()
        loss = stand.phase.step(stand.done, next(self._batches))
        self._losses.append(loss)
        if not math.isfinite(loss):
            raise ArmInfeasible(
                f"training diverged: the loss became {loss} at step {len(self._losses)}; "
                "lower learning_rate"
            )
        stand.done += 1
        if len(self._losses) % self._points_every == 0:
            yield self._point(stand.phase.network)
        if self._checkpoints.is_due:
            found = stand.found
            state = {
                "phase": stand.phase.state(),
                "done": stand.done,
                "found": None
                if found is None
                else [found.dense_wrong, found.masked_wrong, found.kept_magnitude],
                "losses": self._losses,
                "batches": self._batches.state(),
            }
            self._checkpoints.save(len(self._losses), state)

    def _point(self, network: nn.Module) -> CurvePoint:
        metrics = {"train_loss": self._recent_loss()}
        if len(self._losses) % (self._points_every * _POINTS_PER_VALIDATION) == 0:
            validation = self._task.validation
            metrics["validation_error"] = count_errors(network, validation) / len(validation)
        return CurvePoint(step=len(self._losses), metrics=metrics)

    def _recent_loss(self) -> float:
        return fmean(self._losses[-self._points_every :])

    def train_dense(self, stand: _Stand) -> Generator[CurvePoint, None, None]:
        """To the end of the dense training."""
        while stand.done < stand.phase.steps:
            yield from self._step(stand)

    def mask(self, network: nn.Module) -> _Stand:
        """Scores the dense network and the masked one; the latter is where retraining begins."""
        dense_wrong = count_errors(network, self._task.test)
        sparsity = self._sparsity(network)
        sparsity.permute()
        masks = sparsity.masks()
        masked = copy.deepcopy(network)
        with torch.no_grad():
            for name, mask in masks.items():
                masked.get_parameter(name).masked_fill_(~mask, 0.0)
        masked_wrong = count_errors(masked, self._task.test) if masks else dense_wrong
        found = _Found(dense_wrong, masked_wrong, sparsity.kept_magnitude(masks))
        stand = self._retraining(network, found)
        if not sparsity.rises or stand.phase.steps == 0:
            stand.phase.masked.fix(masks)
        return stand

    def retrain(self, stand: _Stand) -> Generator[CurvePoint, None, None]:
        """To the end of the retraining, under masks that are fixed or rise first."""
        steps = stand.phase.steps
        sparsity = self._sparsity(stand.phase.network)
        rising = int(_RISING_SHARE * steps)
        every = max(1, rising // _REMAKES)
        while stand.done < steps:
            number = stand.done
            is_due = number % every == 0 or number == rising
            if sparsity.rises and number <= rising and is_due:
                progress = cubic_sparsity(number, 0, rising, final=1.0)
                stand.phase.masked.fix(sparsity.masks(progress))
            yield from self._step(stand)

    def report(self, stand: _Stand, found: _Found) -> TrainedNetwork:
        """The network and its metrics, once its zeros are found to be where they should."""
        network = stand.phase.network.eval()
        if not all(torch.isfinite(weight).all() for weight in network.state_dict().values()):
            raise ArmInfeasible(
                "training diverged: a weight is not finite after the last step; lower learning_rate"
            )
        sparsity = self._sparsity(network)
        sparsity.check()
        masks = stand.phase.masked.state()
        size_bytes = (
            sum(weight.numel() for weight in network.parameters()) * VALUE_BYTES
            if sparsity.pattern is None
            else network_bytes(network, masks, sparsity.pattern)
        )
        test = self._task.test
        metrics = {
            "error": error_of(network, test),
            "validation_error": error_of(network, self._task.validation),
            "dense_error": error_share(found.dense_wrong, len(test)),
            "zero_shot_error": error_share(found.masked_wrong, len(test)),
            "kept_magnitude": Estimate(found.kept_magnitude),
            "packed_bytes": Estimate(float(size_bytes)),
            "train_loss": Estimate(self._recent_loss()),
        }
        return TrainedNetwork(
            network=network,
            metrics=metrics,
            notes={
                "dense_steps": self._dense_steps,
                "retraining_steps": self._retraining_steps,
                "sparse_weights": sum(mask.numel() for mask in masks.values()),
                "training_examples": len(self._task.training),
                "test_examples": len(test),
            },
        )


class TwoFourRecipe:
    """The recipe of this space."""

    def build(self, arm: Arm) -> nn.Module:
        """The network in eval mode, with weights that depend on nothing but the arm."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build_network(arm).eval()

    def example_inputs(
        self, arm: Arm, count: int, context: TrainingContext
    ) -> list[tuple[Tensor, ...]]:
        """`count` test examples: 1 x 1 x 8 x 8 images, or commands 1 x words x n-grams int64."""
        test = load_task(str(arm.parameters["network"]), context.cache_folder).test
        generator = torch.Generator().manual_seed(context.seed)
        rows = torch.randperm(len(test), generator=generator)
        return [(test.take(rows[[place % len(test)]]).inputs,) for place in range(count)]

    def train(
        self, arm: Arm, context: TrainingContext
    ) -> Generator[CurvePoint, None, TrainedNetwork]:
        """Dense, masked, retrained; deterministic in (arm, seed) on one thread.

        What the dense training gives does not depend on how the arm is masked after it.
        """
        run = _Run(arm, context)
        with context.checkpoints.restoring() as state:
            stand = run.begin() if state is None else run.go_on(state)
        if stand.found is None:
            yield from run.train_dense(stand)
            stand = run.mask(stand.phase.network)
        yield from run.retrain(stand)
        assert stand.found is not None  # noqa: S101  (`mask` gives it)
        return run.report(stand, stand.found)


def recipe() -> Recipe:
    """The door by which the registry loads this module."""
    return TwoFourRecipe()
