"""`python -m benchmarks.depth_pruned_llm run | table`: see recovery.py here."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.depth_pruned_llm.records import RESULTS, keep, write_table
from benchmarks.depth_pruned_llm.recovery import cases, run
from benchmarks.records import read


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs those cases that are not kept yet, one after another on one thread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.depth_pruned_llm")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="prune and recover; goes on where it was")
    running.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    running.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "archfront")
    running.add_argument("--max-steps", type=int, help="for a trial of the benchmark itself")
    running.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("table", help="write README.md from the kept results")
    given = parser.parse_args(arguments)
    if given.command == "table":
        write_table()
        return
    torch.set_num_threads(1)
    done = {line["case"]["name"] for line in read(given.results)}
    for case in cases(given.seeds):
        if case.name not in done:
            outcome = run(case, given.cache, given.max_steps)
            keep(case, outcome, given.results)
            print(case.name, f"{outcome.figures['accuracy_recovery']:.1f} %", flush=True)


if __name__ == "__main__":
    main()
