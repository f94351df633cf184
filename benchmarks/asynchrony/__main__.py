"""`python -m benchmarks.asynchrony latency | idle | table`: see the package's README."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.asynchrony import idle_share, lease_latency
from benchmarks.asynchrony.records import RESULTS, keep, write_table
from benchmarks.asynchrony.served import DATABASES

_REST_S = 5.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what was asked for, one after the other, each against a server of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asynchrony", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    latency = commands.add_parser("latency", help="latency of a lease from a warm pool")
    latency.add_argument("--loads", nargs="+", choices=lease_latency.LOADS, default=["steady"])
    latency.add_argument("--workers", type=int, default=50)
    latency.add_argument("--seconds", type=float, default=120.0)
    idle = commands.add_parser("idle", help="idle share of workers with 20 s trials")
    idle.add_argument("--workers", type=int, default=8)
    idle.add_argument("--seconds", type=float, default=600.0)
    idle.add_argument("--strategy", default="auto")
    for command in (latency, idle):
        command.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
        command.add_argument("--runs", type=int, default=3)
        command.add_argument("--folder", type=Path, help="for the databases; on a real disk")
        command.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("table", help="write README.md from the kept results")
    given = parser.parse_args(arguments)
    if given.command == "table":
        write_table()
    elif given.command == "latency":
        _latency(given)
    else:
        _idle(given)


def _latency(given: argparse.Namespace) -> None:
    for _ in range(given.runs):
        for kind in given.databases:
            for load in given.loads:
                run = lease_latency.run(kind, load, given.workers, given.seconds, given.folder)
                print(run, flush=True)
                keep(run, given.results)
                time.sleep(_REST_S)


def _idle(given: argparse.Namespace) -> None:
    for _ in range(given.runs):
        for kind in given.databases:
            run = idle_share.run(
                kind, given.workers, given.seconds, strategy=given.strategy, folder=given.folder
            )
            print(run, flush=True)
            keep(run, given.results)
            time.sleep(_REST_S)


if __name__ == "__main__":
    main()
