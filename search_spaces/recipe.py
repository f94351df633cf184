"""What a worker needs of a search space: build an arm's network, feed it, train it.

Importing this module imports neither torch nor pydantic.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from search_spaces.arm import Arm


class ArmInfeasible(Exception):
    """The arm itself is at fault: it diverged, or cannot be built. Never tried again."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its noise: `mean` over `n` items, `sem` its standard error (None: unknown)."""

    mean: float
    sem: float | None = None
    n: int = 1


TrainingState = Mapping[str, Any]
"""All that a training needs to go on: mappings, lists and tuples of tensors and plain values."""


class Checkpoints(Protocol):
    """Where a training leaves its state from time to time, to go on from elsewhere.

    A recipe may do without: its training then begins anew whenever it was broken off.
    """

    @property
    def is_due(self) -> bool:
        """Whether it is time for `save`; cheap enough to ask after every step."""
        ...

    def save(self, step: int, state: TrainingState) -> None:
        """Keeps the state after `step` optimizer steps, all points up to there yielded.

        It holds what the recipe draws from and changes: weights, the optimizer's state, random
        states, the place in the data. The tensors are copied at once.
        """
        ...

    def restoring(self) -> AbstractContextManager[TrainingState | None]:
        """Gives the state to go on from, if there is one, before the first step.

        The points up to there are known: the recipe yields only later ones. An error within the
        block means that the state is of no use, and training begins anew.
        """
        ...


class NoCheckpoints:
    """Keeps nothing, and has nothing to go on from."""

    is_due = False

    def save(self, step: int, state: TrainingState) -> None:
        """Nothing."""

    def restoring(self) -> AbstractContextManager[TrainingState | None]:
        """No state."""
        return nullcontext()


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
    checkpoints: Checkpoints = field(default_factory=NoCheckpoints)


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

    def build(self, arm: "Arm") -> "torch.nn.Module":
        """The arm's network as it is deployed, in eval mode, its weights not yet trained.

        After `load_state_dict` of a trained network's weights it gives the same answers.
        Raises: ArmInfeasible if the arm cannot be built.
        """
        ...

    def example_inputs(
        self, arm: "Arm", count: int, context: TrainingContext
    ) -> "list[tuple[torch.Tensor, ...]]":
        """`count` real inputs as the device would see them (batch 1), all of one shape.

        The network is exported for, timed on and compared with these.
        """
        ...

    def train(
        self, arm: "Arm", context: TrainingContext
    ) -> Generator[CurvePoint, None, TrainedNetwork]:
        """Trains the arm; yields points of its learning curves and returns the network.

        The caller may stop between two points (`close()`). Gone on from `context.checkpoints`,
        the training ends as if it had never been broken off.
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
        self, arm: "Arm", network: "torch.nn.Module", context: TrainingContext
    ) -> Mapping[str, Estimate]:
        """The space's metrics of the measure stage, for the arm's network with trained weights.

        network: in eval mode, as `build` gives it, the evaluation parameters applied.
        """
        ...


class DeployedNetwork(Protocol):
    """A network in the runtime and precision that its arm is measured in."""

    @property
    def metrics(self) -> Mapping[str, Estimate]:
        """What was measured of it on the device: all of `MEASURED_METRICS`."""
        ...

    def run(self, inputs: "Sequence[NDArray[Any]]") -> "list[NDArray[Any]]":
        """The runtime's answers on this host, flattened, in order: one inference."""
        ...


class Deployment(Protocol):
    """Deploys further networks of an arm as the first one is."""

    def __call__(
        self, network: "torch.nn.Module", inputs: "Sequence[tuple[torch.Tensor, ...]]"
    ) -> DeployedNetwork:
        """Exports `network`, compares its answers with torch's, and measures it on the device.

        inputs: real ones, at least one, all of the same shapes (batch first).
        Raises: ArmInfeasible if the runtime cannot express the network, or answers otherwise.
        """
        ...


@runtime_checkable
class DeployedRecipe(Recipe, Protocol):
    """The recipe of a space with metrics that the device or its runtime decides.

    Such are the speed of a second network that the device runs beside the first, and how right a
    network still is in the precision of its export.
    """

    def evaluate_deployed(
        self, arm: "Arm", network: "torch.nn.Module", deploy: Deployment, context: TrainingContext
    ) -> Mapping[str, Estimate]:
        """The space's metrics `by_device`, for the arm's network with trained weights.

        network: in eval mode, as `build` gives it.
        deploy: takes some `MeasurementSettings.time_limit_s` a network.
        """
        ...
