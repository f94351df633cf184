"""The problems by name; each is built when it is first asked for."""

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import cast

from benchmarks.optimizer.problems.problem import Problem

_HERE = "benchmarks.optimizer.problems"


def _made(module: str, function: str, *arguments: int) -> Problem:
    make = cast(Callable[..., Problem], getattr(import_module(f"{_HERE}.{module}"), function))
    return make(*arguments)


_MAKERS: dict[str, Callable[[], Problem]] = {
    "branin_currin": partial(_made, "botorch_functions", "branin_currin"),
    "dtlz2_d6": partial(_made, "botorch_functions", "dtlz2", 6),
    "dtlz2_d20": partial(_made, "botorch_functions", "dtlz2", 20),
    "dtlz2_d20_bent": partial(_made, "botorch_functions", "dtlz2_bent", 20),
    "zdt3_d20": partial(_made, "botorch_functions", "zdt3", 20),
    "vehicle_safety": partial(_made, "botorch_functions", "vehicle_safety"),
    "penicillin": partial(_made, "botorch_functions", "penicillin"),
    "compression24": partial(_made, "compression24", "compression24"),
    "nlu_table": partial(_made, "nlu_table", "nlu_table"),
    "compression24_noisy": partial(_made, "compression24", "compression24_noisy"),
    "c2_dtlz2": partial(_made, "botorch_functions", "c2_dtlz2"),
}

PROBLEM_NAMES: tuple[str, ...] = tuple(_MAKERS)
"""In the order of the result table."""


@cache
def find_problem(name: str) -> Problem:
    """The problem of that name. Raises: ValueError naming the known ones."""
    if name not in _MAKERS:
        raise ValueError(f"unknown problem {name!r}; known are {', '.join(_MAKERS)}")
    return _MAKERS[name]()
