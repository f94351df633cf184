"""`python -m benchmarks.pruned_export run | table`: see README.md here."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.pruned_export.records import RESULTS, keep, write_table
from benchmarks.pruned_export.speed import FORMS, RUNTIMES, Case, export, folder_of, run
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
    one.add_argument("exports", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.command == "table":
        write_table()
    elif given.command == "one":
        print(json.dumps(run(Case(**given.case), given.exports)))
    else:
        with tempfile.TemporaryDirectory() as exports:
            _take_missing(given.seeds, given.results, Path(exports))


def _take_missing(seeds: Sequence[int], results: Path, exports: Path) -> None:
    done = {Case(**line["case"]) for line in read(results)}
    wanted = [
        Case(runtime, removed, seed, precision=precision)
        for runtime in RUNTIMES
        for seed in seeds
        for precision, removed in FORMS
    ]
    for case in wanted:
        if case in done:
            continue
        for blocks, precision in case.exports:
            if not folder_of(exports, case.runtime, blocks, precision).exists():
                export(case.runtime, blocks, exports, precision)
        command = [sys.executable, "-m", "benchmarks.pruned_export", "one"]
        told = subprocess.run(
            [*command, json.dumps(asdict(case)), str(exports)],
            capture_output=True,
            text=True,
            check=True,
        )
        figures = json.loads(told.stdout.splitlines()[-1])
        keep(case, figures, results)
        print(case, figures, flush=True)


if __name__ == "__main__":
    main()
