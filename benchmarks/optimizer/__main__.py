"""Runs the optimizer benchmark: `python -m benchmarks.optimizer --help`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.optimizer.plan import run_plan
from benchmarks.optimizer.problems.registry import PROBLEM_NAMES
from benchmarks.optimizer.records import RESULTS_FOLDER
from benchmarks.optimizer.runner import run_all, run_one
from workers.parent_death import die_with_parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 1 if a run failed."""
    given = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], list[str]] = given.command
    failures = command(given)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.optimizer",
        description="Hypervolume and CPU time of our strategies and the peers.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run what is not finished yet, one child after another")
    run.add_argument("--problems", nargs="+", default=list(PROBLEM_NAMES), metavar="NAME")
    run.add_argument("--optimizers", nargs="+", default=["auto"], metavar="NAME")
    run.add_argument("--seeds", type=seed_range, default=[0, 1, 2, 3, 4], help="0..4 or 0,2")
    run.add_argument("--trials", type=int, default=100)
    run.add_argument("--renew", action="store_true", help="run ours again if of another commit")
    run.set_defaults(command=_run)
    plan = commands.add_parser("peers", help="go on with the peers' runs, the cheap ones first")
    plan.set_defaults(command=lambda given: run_plan(given.results))
    record = commands.add_parser(
        "record", help="record the table of nlu_table; goes on where it was"
    )
    record.add_argument("part", choices=["train", "measure"])
    record.add_argument("--limit", type=int, help="at most so many rows")
    record.add_argument("--tables", type=Path, help="another folder for the tables")
    record.set_defaults(command=_record)
    one = commands.add_parser("one", help="one run in this process (what `run` starts)")
    one.add_argument("problem")
    one.add_argument("optimizer")
    one.add_argument("seed", type=int)
    one.add_argument("trials", type=int)
    one.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    one.set_defaults(command=_one)
    for command in (run, plan, one):
        command.add_argument("--results", type=Path, default=RESULTS_FOLDER)
    return parser


def seed_range(text: str) -> list[int]:
    """`0..4` or `0,2,5` as a list. Raises: ValueError otherwise."""
    first, dots, last = text.partition("..")
    if dots:
        return list(range(int(first), int(last) + 1))
    return [int(seed) for seed in text.split(",")]


def _run(given: argparse.Namespace) -> list[str]:
    return run_all(
        given.problems,
        given.optimizers,
        given.seeds,
        given.trials,
        given.results,
        renew=given.renew,
    )


def _record(given: argparse.Namespace) -> list[str]:
    from benchmarks.optimizer import recording  # noqa: PLC0415  (torch, only where it is needed)

    record = recording.record_errors if given.part == "train" else recording.record_latencies
    left = record(given.tables or recording.TABLES_FOLDER, given.limit)
    print(f"{left} rows left")
    return []


def _one(given: argparse.Namespace) -> list[str]:
    if given.parent is not None:
        die_with_parent(given.parent)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run_one(given.problem, given.optimizer, given.seed, given.trials, given.results)
    return []


if __name__ == "__main__":
    sys.exit(main())
