"""Notes when a stage process comes to its imports, its first and its last training step.

Python imports a module of this name by itself at its start, where it finds one: so the worker that
is measured runs as it is. Only the worker under measurement has this folder on its PYTHONPATH.
Each note is a line `NAME SECONDS` (since 1970) in a file of its process.
"""

import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

NOTES_VARIABLE = "WORKER_OVERHEAD_NOTES"
"""Names the folder of the notes."""

_RECIPE = "search_spaces.language.nlu_encoder.training"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

last_step: dict[str, float] = {}


def note(name: str, at: float | None = None) -> None:
    """Adds one line to this process's notes."""
    path = Path(os.environ[NOTES_VARIABLE]) / f"{os.getpid()}.txt"
    with path.open("a", encoding="ascii") as file:
        file.write(f"{name} {time.time() if at is None else at:.6f}\n")


def _process_started_at() -> float:
    """When the watcher of this stage was started: its child is only forked off."""
    fields = Path(f"/proc/{os.getppid()}/stat").read_text().rsplit(")", 1)[1].split()
    since_boot_s = int(fields[19]) / _TICKS_PER_S
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot_s


def _stage_loaded(module: ModuleType) -> None:
    note("process_started", _process_started_at())
    run_order = module.run_order

    def noted(order_path: Path) -> None:
        run_order(order_path)
        note("result_written")

    module.run_order = noted  # type: ignore[attr-defined]


def _torch_loaded(_: ModuleType) -> None:
    from torch.optim import optimizer  # noqa: PLC0415

    def before(*_: object) -> None:
        if not last_step:
            note("first_step")

    def after(*_: object) -> None:
        last_step["at"] = time.time()

    optimizer.register_optimizer_step_pre_hook(before)
    optimizer.register_optimizer_step_post_hook(after)


def _recipe_loaded(module: ModuleType) -> None:
    train = module.NluRecipe.train

    def noted(*given: Any) -> Generator[Any, None, Any]:
        note("train_begins")
        trained = yield from train(*given)
        note("last_step", last_step["at"])
        note("train_ends")
        return trained

    module.NluRecipe.train = noted  # type: ignore[attr-defined]


def _exporter_loaded(module: ModuleType) -> None:
    export = module.export_trained

    def noted(*given: Any) -> Any:
        note("export_begins")
        exported = export(*given)
        note("export_ends")
        return exported

    module.export_trained = noted  # type: ignore[attr-defined]


_WATCHED: dict[str, tuple[str, Callable[[ModuleType], None]]] = {
    "workers.stage": ("stage", _stage_loaded),
    "torch": ("torch", _torch_loaded),
    "torch._dynamo": ("compiler", lambda _: None),
    _RECIPE: ("recipe", _recipe_loaded),
    "workers.deployable": ("exporter", _exporter_loaded),
}


class _Finder(MetaPathFinder):
    """Finds the watched modules as Python does, and has their loading noted."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec; None for all others."""
        if fullname not in _WATCHED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        label, loaded = _WATCHED[fullname]
        load = spec.loader.exec_module

        def noted(module: ModuleType) -> None:
            note(f"{label}_begins")
            load(module)
            note(f"{label}_ends")
            loaded(module)

        spec.loader.exec_module = noted  # type: ignore[method-assign]
        return spec


if NOTES_VARIABLE in os.environ and any("workers.run_stage" in word for word in sys.orig_argv):
    sys.meta_path.insert(0, _Finder())
