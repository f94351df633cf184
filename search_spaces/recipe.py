"""What a worker needs of a search space: build an arm's network, feed it, train it.

Importing this module imports no torch.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from search_spaces.arm import Arm

if TYPE_CHECKING:
    import torch


class ArmInfeasible(Exception):
    """The arm itself is at fault: it diverged, or cannot be built. Never tried again."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its noise: `mean` over `n` items, `sem` its standard error (None: unknown)."""

    mean: float
    sem: float | None = None
    n: int = 1


@dataclass(frozen=True)
class TrainingContext:
    """Where and under which seed one arm trains.

    cache_folder: shared by all trials on this host; for prepared data, written atomically.
    work_folder: this attempt's own; thrown away afterwards.
    max_steps: at most so many optimizer steps (None: as the recipe says); for short runs.
    """

    seed: int
    cache_folder: Path
    work_folder: Path
    max_steps: int | None = None


@dataclass(frozen=True)
class CurvePoint:
    """One point of the learning curves, after `step` optimizer steps."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrainedNetwork:
    """What training gives: the network in eval mode and the space's `train` metrics."""

    network: "torch.nn.Module"
    metrics: Mapping[str, Estimate]
    notes: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class Recipe(Protocol):
    """How the arms of one search space become trained networks.

    All three are deterministic in (arm, seed) on one machine and number of threads.
    """

    def build(self, arm: Arm) -> "torch.nn.Module":
        """The arm's network as it is deployed, in eval mode, its weights not yet trained.

        After `load_state_dict` of a trained network's weights it gives the same answers.
        Raises: ArmInfeasible if the arm cannot be built.
        """
        ...

    def example_inputs(
        self, arm: Arm, count: int, context: TrainingContext
    ) -> "list[tuple[torch.Tensor, ...]]":
        """`count` real inputs as the device would see them (batch 1), all of one shape.

        The network is exported for, timed on and compared with these.
        """
        ...

    def train(
        self, arm: Arm, context: TrainingContext
    ) -> Generator[CurvePoint, None, TrainedNetwork]:
        """Trains the arm; yields points of its learning curves and returns the network.

        The caller may stop between two points (`close()`).
        Raises: ArmInfeasible if training diverges.
        """
        ...


@runtime_checkable
class NestedRecipe(Recipe, Protocol):
    """The recipe of a space with evaluation parameters, some of whose metrics depend on them.

    `train` ignores the evaluation parameters: whatever their values, it leaves the same weights,
    which load into `build` of every arm with that training configuration.
    """

    def evaluate(
        self, arm: Arm, network: "torch.nn.Module", context: TrainingContext
    ) -> Mapping[str, Estimate]:
        """The space's metrics of the measure stage, for the arm's network with trained weights.

        network: in eval mode, as `build` gives it, the evaluation parameters applied.
        """
        ...
