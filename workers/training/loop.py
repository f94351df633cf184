"""The ordinary loop over a recipe: it follows the training and decides when it ends."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from search_spaces.arm import Arm
from search_spaces.recipe import ArmInfeasible, CurvePoint, Recipe, TrainedNetwork, TrainingContext
from workers.errors import WallClockLimitReached
from workers.training.checkpoint_file import Checkpoint
from workers.training.kept_checkpoints import CheckpointPlan, KeptCheckpoints
from workers.training.progress import Progress


@dataclass(frozen=True)
class TrainingEnd:
    """What training came to. `trained` is None where it was told to stop before its end.

    latest: of each metric of the learning curve the newest value and its step; not every point
        carries every metric.
    """

    trained: TrainedNetwork | None
    last_point: CurvePoint | None
    latest: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Optimizer steps up to the last point of the learning curve."""
        return self.last_point.step if self.last_point else 0


def refuse_non_finite(values: Mapping[str, float], where: str) -> None:
    """Raises ArmInfeasible if a value is NaN or infinite: the arm has diverged."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise ArmInfeasible(f"Training diverged: {name} is {value} {where}.")


def run_training(
    recipe: Recipe,
    arm: Arm,
    context: TrainingContext,
    *,
    on_point: Callable[[CurvePoint], None],
    stop_requested: Callable[[], bool],
    wall_clock_limit_s: float | None = None,
    keeping: CheckpointPlan | None = None,
    on_resumed: Callable[[int], None] = lambda _: None,
    clock_s: Callable[[], float] = time.monotonic,
) -> TrainingEnd:
    """Trains the arm to the recipe's end, or to the first point after a stop was requested.

    on_point: gets each point of the learning curve as it comes; where training goes on from a
        checkpoint, first those up to there.
    wall_clock_limit_s: of all that it took, also before the checkpoint.
    keeping: when and where its state is kept (None: it is not).
    on_resumed: gets the number of steps after which it goes on.
    clock_s: seconds from any origin, never going back.
    Raises: ArmInfeasible if a metric is not finite; WallClockLimitReached between two points;
        CheckpointUnusable before the first step, if the recipe cannot go on from what there is.
    """
    progress = Progress(clock_s)

    def resumed(checkpoint: Checkpoint) -> None:
        progress.take_over(checkpoint.points, checkpoint.spent_s)
        for point in checkpoint.points:
            on_point(point)
        on_resumed(checkpoint.step)

    if keeping is not None:
        kept = KeptCheckpoints(keeping, progress, resumed, clock_s)
        context = replace(context, checkpoints=kept)
    training = recipe.train(arm, context)
    try:
        while True:
            try:
                point = next(training)
            except StopIteration as end:
                trained: TrainedNetwork = end.value
                break
            refuse_non_finite(point.metrics, f"after {point.step} steps")
            on_point(point)
            progress.add(point)
            if stop_requested():
                return TrainingEnd(None, progress.last_point, progress.latest)
            spent_s = progress.spent_s
            if wall_clock_limit_s is not None and spent_s > wall_clock_limit_s:
                raise WallClockLimitReached(
                    f"Training took {spent_s:.0f} s up to step {point.step}, more than "
                    f"training.wall_clock_limit_s = {wall_clock_limit_s:g}; raise the limit or "
                    "lower training.max_steps."
                )
    finally:
        training.close()
    refuse_non_finite(
        {name: estimate.mean for name, estimate in trained.metrics.items()}, "at the end"
    )
    return TrainingEnd(trained, progress.last_point, progress.latest)
