"""Keeps every state of a training as the file that a worker would make, and goes on from one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search_spaces.recipe import TrainingState
from workers.training.checkpoint_file import Checkpoint, read_checkpoint, write_checkpoint


class KeptStates:
    """`Checkpoints` that are always due. go_on_after: the step whose state is restored."""

    is_due = True

    def __init__(self, folder: Path, go_on_after: int | None = None) -> None:
        self._folder = folder
        self._go_on_after = go_on_after
        self.steps: list[int] = []

    def save(self, step: int, state: TrainingState) -> None:
        self.steps.append(step)
        write_checkpoint(self._path(step), "test", Checkpoint(step, state, (), 0.0))

    @contextmanager
    def restoring(self) -> Iterator[TrainingState | None]:
        if self._go_on_after is None:
            yield None
        else:
            yield read_checkpoint(self._path(self._go_on_after), "test").state

    def _path(self, step: int) -> Path:
        return self._folder / f"{step}.safetensors"
