"""`python -m benchmarks.worker_overhead run | table`: see README.md here."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.worker_overhead import overhead
from benchmarks.worker_overhead.records import RESULTS, keep, write_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what was asked for, each run with a server and a worker of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker_overhead")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="train a few arms for a moment each")
    run.add_argument("--trials", type=int, default=30)
    run.add_argument("--runs", type=int, default=3)
    run.add_argument("--exports", action="store_true", help="measured first, exported when trained")
    run.add_argument("--folder", type=Path, help="for the database; on a real disk")
    run.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("table", help="write README.md from the kept results")
    given = parser.parse_args(arguments)
    if given.command == "table":
        write_table()
        return
    for _ in range(given.runs):
        result = overhead.run(given.trials, exports=given.exports, folder=given.folder)
        print(result, flush=True)
        keep(result, given.results)


if __name__ == "__main__":
    main()
