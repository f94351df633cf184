"""The folder of one attempt: where worker and stage process leave things for each other."""

import shutil
from dataclasses import dataclass
from pathlib import Path

_CHECKPOINT_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class WorkFolder:
    """The paths inside one attempt's folder."""

    path: Path

    @property
    def order(self) -> Path:
        """What the stage process shall do (`StageOrder`, JSON)."""
        return self.path / "order.json"

    @property
    def result(self) -> Path:
        """How the stage ended (`StageResult`, JSON); written once, whole."""
        return self.path / "result.json"

    @property
    def curve(self) -> Path:
        """One learning-curve point a line (JSON), appended while training runs."""
        return self.path / "curve.jsonl"

    @property
    def log(self) -> Path:
        """What the stage process printed."""
        return self.path / "log.txt"

    @property
    def stop_flag(self) -> Path:
        """Once it exists, training ends before its next learning-curve point."""
        return self.path / "stop"

    @property
    def checkpoints(self) -> Path:
        """The training's state from time to time, for the worker to pass on."""
        return self.path / "checkpoints"

    def checkpoint_of(self, step: int) -> Path:
        """The state after so many steps; there whole or not at all."""
        return self.checkpoints / f"{step}{_CHECKPOINT_SUFFIX}"

    def newest_checkpoint(self) -> tuple[int, Path] | None:
        """The newest state, and after how many steps it is."""
        found = [
            (int(path.stem), path)
            for path in self.checkpoints.glob(f"*{_CHECKPOINT_SUFFIX}")
            if path.stem.isdecimal()
        ]
        return max(found, default=None)

    @property
    def keep_flag(self) -> Path:
        """Once it exists, training keeps its state as soon as it can."""
        return self.path / "keep"

    @property
    def earlier(self) -> Path:
        """The state that an earlier attempt has left, to go on from."""
        return self.path / "earlier.safetensors"

    @property
    def resumed(self) -> Path:
        """After how many steps training went on; absent if it began anew."""
        return self.path / "resumed"

    @property
    def inputs(self) -> Path:
        """Files from earlier stages, under their names."""
        return self.path / "inputs"

    @property
    def outputs(self) -> Path:
        """Files that the stage makes for later stages and for people."""
        return self.path / "outputs"

    @property
    def scratch(self) -> Path:
        """For the recipe and the measurement to use as they like."""
        return self.path / "scratch"

    def create(self) -> None:
        """Makes it, empty; what an earlier attempt left is removed."""
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in (self.inputs, self.outputs, self.scratch, self.checkpoints):
            folder.mkdir(parents=True)

    def remove(self) -> None:
        """Removes it with all it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
