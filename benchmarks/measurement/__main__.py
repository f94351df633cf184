"""`python -m benchmarks.measurement equal`, or another figure, `all` or `table`: see results.md."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.measurement import figures, networks
from benchmarks.measurement.records import RESULTS, keep, write_table

_FIGURES = {
    "scatter": (figures.scatter, figures.SCATTER_PROCESSES, 20.0),
    "scatter_small": (figures.scatter_small, figures.SCATTER_PROCESSES, 20.0),
    "equal": (figures.equal, figures.EQUAL_PAIRS, 20.0),
    "equal_small": (figures.equal_small, figures.EQUAL_PAIRS, 20.0),
    "order": (figures.order, networks.NLU_COUNT, 20.0),
}
"""What is taken, how often, and how many seconds each measurement may last."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes the figures asked for, keeps each, and writes the table anew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measurement", description=__doc__)
    parser.add_argument("figure", choices=[*_FIGURES, "all", "table"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keeps the exported networks between runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    wanted = {"all": [*_FIGURES], "table": []}.get(given.figure, [given.figure])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        for name in wanted:
            take, count, time_limit_s = _FIGURES[name]
            settings: dict[str, Any] = {"time_limit_s": time_limit_s, "seed": given.seed}
            result = take(given.folder or Path(temporary), _show, count, **settings)
            keep(name, settings, result, given.results)
            print({key: value for key, value in result.items() if not isinstance(value, list)})
    write_table(given.results, given.results.with_suffix(".md"))


def _show(run: dict[str, Any]) -> None:
    print(run, flush=True)


if __name__ == "__main__":
    main()
