"""`python -m benchmarks.smollm2 run | table`: see recovery.py here."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.records import read
from benchmarks.smollm2.model import load
from benchmarks.smollm2.model_folder import write_folder
from benchmarks.smollm2.records import RESULTS, keep, write_table
from benchmarks.smollm2.recovery import STEPS, cases, run


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs those cases that are not kept yet, one after another on one thread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.smollm2")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="prune and recover; goes on where it was")
    running.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    running.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "archfront")
    running.add_argument("--steps", type=int, default=STEPS, help="fewer to try the benchmark")
    running.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("table", help="write README.md from the kept results")
    made = commands.add_parser("folder", help="write what depth_pruned_pretrained needs of it")
    made.add_argument("path", type=Path)
    made.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "archfront")
    given = parser.parse_args(arguments)
    if given.command == "table":
        write_table()
        return
    torch.set_num_threads(1)
    if given.command == "folder":
        write_folder(given.path, *load(given.cache))
        return
    done = {line["case"]["name"] for line in read(given.results)}
    for case in cases(given.seeds):
        if case.name not in done:
            outcome = run(case, given.cache, given.steps)
            keep(case, outcome, given.results)
            shown = ", ".join(f"{name} {value:.3g}" for name, value in outcome.figures.items())
            print(f"{case.name}: {shown}", flush=True)


if __name__ == "__main__":
    main()
