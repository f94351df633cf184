"""Leaves a training's state in the attempt's folder from time to time, and goes on from one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from search_spaces.recipe import TrainingState
from workers.errors import CheckpointUnusable
from workers.training.checkpoint_file import Checkpoint, read_checkpoint, write_checkpoint
from workers.training.progress import Progress
from workers.work_folder import WorkFolder

_LOOK_S = 0.2
"""More often nobody looks whether the worker asks for a checkpoint: a step may take less."""


@dataclass(frozen=True)
class CheckpointPlan:
    """When and where a training's state is kept.

    training: names what is trained; only the same goes on from a checkpoint of it.
    folder: gets the checkpoints, and may hold one to go on from.
    interval_s: the time between two of them.
    """

    training: str
    folder: WorkFolder
    interval_s: float


class KeptCheckpoints:
    """The recipe's way to its checkpoints (see `search_spaces.recipe.Checkpoints`).

    on_resumed: is told from which checkpoint the recipe goes on, before it does.
    """

    def __init__(
        self,
        plan: CheckpointPlan,
        progress: Progress,
        on_resumed: Callable[[Checkpoint], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._progress = progress
        self._on_resumed = on_resumed
        self._clock_s = clock_s
        self._look_at_s = clock_s()
        self._due_at_s = clock_s() + plan.interval_s

    @property
    def is_due(self) -> bool:
        """Whether the interval is over, or the worker asks for one because it is to stop."""
        now_s = self._clock_s()
        if now_s < self._look_at_s:
            return False
        self._look_at_s = now_s + min(_LOOK_S, self._plan.interval_s)
        return now_s >= self._due_at_s or self._plan.folder.keep_flag.exists()

    def save(self, step: int, state: TrainingState) -> None:
        """Writes one file; a training that cannot be kept goes on all the same."""
        folder = self._plan.folder
        folder.keep_flag.unlink(missing_ok=True)
        kept = Checkpoint(step, state, self._progress.points, self._progress.spent_s)
        try:
            write_checkpoint(folder.checkpoint_of(step), self._plan.training, kept)
        except OSError as error:
            print(f"No checkpoint at step {step}: {error}")
        self._due_at_s = self._clock_s() + self._plan.interval_s

    @contextmanager
    def restoring(self) -> Iterator[TrainingState | None]:
        """The state to go on from, if the folder holds one that fits.

        Raises: CheckpointUnusable if the recipe can make nothing of it.
        """
        found = self._find()
        if found is None:
            yield None
            return
        try:
            yield found.state
        except Exception as error:
            raise CheckpointUnusable(
                f"The recipe cannot go on from it: {type(error).__name__}: {error}."
            ) from error
        self._on_resumed(found)

    def _find(self) -> Checkpoint | None:
        path = self._plan.folder.earlier
        if not path.exists():
            return None
        try:
            return read_checkpoint(path, self._plan.training)
        except CheckpointUnusable as error:
            print(f"The checkpoint is refused, training starts anew. {error}")
            return None
