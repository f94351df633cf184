"""Runs the optimizer benchmark: `python -m benchmarks.optimizer --help`."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.optimizer.cost import measure_costs, measure_here
from benchmarks.optimizer.peers.vizier import install
from benchmarks.optimizer.plan import run_plan
from benchmarks.optimizer.problems.nlu_table import TABLES_FOLDER
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
    record.add_argument("--tables", type=Path, default=TABLES_FOLDER)
    record.set_defaults(command=_record)
    install = commands.add_parser("install-vizier", help="make the environment Vizier needs")
    install.set_defaults(command=_install_vizier)
    table = commands.add_parser("table", help="write results.md and the plots")
    table.set_defaults(command=_table)
    cost = commands.add_parser("cost", help="CPU seconds of one suggestion by history (quiet box)")
    cost.add_argument("--strategy", default="auto")
    cost.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400, 700, 1000])
    cost.add_argument("--seeds", type=seed_range, default=[0, 1, 2])
    cost.set_defaults(command=_cost)
    cost_one = commands.add_parser("cost-one", help="one of them (what `cost` starts)")
    cost_one.add_argument("strategy")
    cost_one.add_argument("size", type=int)
    cost_one.add_argument("seed", type=int)
    cost_one.set_defaults(command=_cost_one)
    one = commands.add_parser("one", help="one run in this process (what `run` starts)")
    one.add_argument("problem")
    one.add_argument("optimizer")
    one.add_argument("seed", type=int)
    one.add_argument("trials", type=int)
    one.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    one.set_defaults(command=_one)
    for command in (run, plan, one, table, cost):
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
    left = record(given.tables, given.limit)
    print(f"{left} rows left")
    return []


def _install_vizier(_: argparse.Namespace) -> list[str]:
    install()
    return []


def _table(given: argparse.Namespace) -> list[str]:
    from benchmarks.optimizer.table import PAGE, write_page  # noqa: PLC0415  (matplotlib)

    write_page(given.results)
    print(PAGE)
    return []


def _cost(given: argparse.Namespace) -> list[str]:
    measure_costs(given.strategy, given.sizes, given.seeds, given.results)
    return []


def _cost_one(given: argparse.Namespace) -> list[str]:
    print(json.dumps(asdict(measure_here(given.strategy, given.size, given.seed))))
    return []


def _one(given: argparse.Namespace) -> list[str]:
    if given.parent is not None:
        die_with_parent(given.parent)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run_one(given.problem, given.optimizer, given.seed, given.trials, given.results)
    return []


if __name__ == "__main__":
    sys.exit(main())
