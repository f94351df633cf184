"""The order in which the peers' runs are worth having: cheap ones first, then seed by seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.optimizer.problems.registry import PROBLEM_NAMES
from benchmarks.optimizer.records import RESULTS_FOLDER
from benchmarks.optimizer.runner import run_all


@dataclass(frozen=True)
class Step:
    """Runs of some optimizers on some problems for some seeds, the seeds in the outer loop."""

    optimizers: tuple[str, ...]
    problems: tuple[str, ...]
    seeds: tuple[int, ...]
    trials: int


_CHEAP = ("sobol", "optuna_tpe", "optuna_nsga2", "pymoo_nsga2")
_DEAR = ("optuna_gp", "ax_default")
_DEAREST = ("vizier",)
_SEEDS = (0, 1, 2, 3, 4)
_EXTRA = ("compression24_noisy", "c2_dtlz2")
_MAIN = tuple(name for name in PROBLEM_NAMES if name not in _EXTRA)


def _seed_by_seed(peers: tuple[str, ...], problems: tuple[str, ...], *seeds: int) -> list[Step]:
    return [Step((peer,), problems, (seed,), 100) for seed in seeds for peer in peers]


PLAN: Final = (
    Step(_CHEAP, PROBLEM_NAMES, _SEEDS, 200),
    *_seed_by_seed(_DEAR, _MAIN, 0, 1, 2),
    *_seed_by_seed(_DEAREST, _MAIN, 0),
    *_seed_by_seed(_DEAR, _MAIN, 3, 4),
    *_seed_by_seed(_DEAR, _EXTRA, *_SEEDS),
    *_seed_by_seed(_DEAREST, _MAIN, 1, 2, 3, 4),
    *_seed_by_seed(_DEAREST, ("compression24_noisy",), *_SEEDS),
)
"""The peers' runs in order, the quasi-random floor with them. Ours change and are run by name."""


def run_plan(folder: Path = RESULTS_FOLDER) -> list[str]:
    """Runs what of the plan is not finished; may be killed and started again. Gives failures."""
    failures: list[str] = []
    for step in PLAN:
        failures += run_all(step.problems, step.optimizers, step.seeds, step.trials, folder)
    return failures
