"""`python -m benchmarks.pruned_export run | table`: see README.md here."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.pruned_export.records import RESULTS, keep, write_table
from benchmarks.pruned_export.speed import REMOVED, RUNTIMES, Case, run
from benchmarks.records import read


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes those measurements that are not kept yet, one after another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruned_export")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="export and time; goes on where it was")
    running.add_argument("--seeds", type=int, nargs="+", default=list(range(3)))
    running.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("table", help="write README.md from the kept results")
    one = commands.add_parser("one", help="take one, given as JSON, in this process")
    one.add_argument("case", type=json.loads)
    given = parser.parse_args(arguments)
    if given.command == "table":
        write_table()
    elif given.command == "one":
        print(json.dumps(run(Case(**given.case))))
    else:
        _take_missing(given.seeds, given.results)


def _take_missing(seeds: Sequence[int], results: Path) -> None:
    done = [line["case"] for line in read(results)]
    for seed in seeds:
        for runtime in RUNTIMES:
            for removed in REMOVED:
                case = Case(runtime, removed, seed)
                if asdict(case) in done:
                    continue
                command = [sys.executable, "-m", "benchmarks.pruned_export", "one"]
                told = subprocess.run(
                    [*command, json.dumps(asdict(case))], capture_output=True, text=True, check=True
                )
                figures = json.loads(told.stdout.splitlines()[-1])
                keep(case, figures, results)
                print(case, figures, flush=True)


if __name__ == "__main__":
    main()
