"""`python -m benchmarks.engines ray --trials 50 --seeds 0 1 2`: kills a Ray node, and counts.

Each run is kept as a line of `results.jsonl`; the table in `README.md` is made of them.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.engines.node_death import run
from benchmarks.source_commit import commit_of

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("README.md")

_PAGE = """\
# A node of a Ray cluster dies

Written by `make bench-ray` from `results.jsonl`. Two Ray nodes of one core each run on this
machine, every one with a loopback address of its own. A server (SQLite, with its suggester), a
worker with `--engine ray` and one that measures work off an experiment whose trainings last 0.5
to 1 s; their results are made up, their processes are a real stage's. At a moment drawn by the
seed (after the first to three quarters of the trials, up to a second more, and then as soon as a
training runs there) all processes of the second node are killed by SIGKILL; another node is started
at once. Then the database is counted.

`started anew by Ray`: trainings that went on under the lease they had; `leased anew`: those that
took another lease. `search s` holds the kill; `all s` also the start of server and cluster.
Machine: {machine}, shared by all of it and by others (`load before`); {versions}.
"""
_COLUMNS = {
    "trials": "trials",
    "seed": "seed",
    "killed_after": "killed after",
    "running_then": "trainings on it",
    "killed_processes": "processes killed",
    "started_anew": "started anew by Ray",
    "leased_anew": "leased anew",
    "lost": "lost",
    "recorded_once": "recorded once",
    "recorded_twice": "recorded twice",
    "broken": "invariants broken",
    "search_s": "search s",
    "wall_s": "all s",
    "load_before": "load before",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the seeds one after the other; gives 1 if a trial was lost or recorded twice."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    ray = commands.add_parser("ray", help="two nodes, one of them killed")
    ray.add_argument("--trials", type=int, default=50)
    ray.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    ray.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("table", help="write README.md from the kept results")
    given = parser.parse_args(arguments)
    if given.command == "table":
        TABLE.write_text(text_of(_read(RESULTS)))
        return 0
    is_whole = True
    for seed in given.seeds:
        load_before, began_s = round(os.getloadavg()[0], 1), time.monotonic()
        done = run(given.trials, seed)
        line = {
            "commit": commit_of("workers"),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
            "versions": {"python": platform.python_version(), "ray": version("ray")},
            "load_before": load_before,
            "wall_s": round(time.monotonic() - began_s, 1),
            **asdict(done),
        }
        print(json.dumps(line), flush=True)
        with given.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        whole = (done.lost, done.recorded_once, done.recorded_twice) == (0, given.trials, 0)
        is_whole = is_whole and whole and not done.broken
    if given.results == RESULTS:
        TABLE.write_text(text_of(_read(RESULTS)))
    return 0 if is_whole else 1


def text_of(lines: Sequence[dict[str, Any]]) -> str:
    """The page: what was done, and a row for each run."""
    last = lines[-1]
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    rows = [
        "| " + " | ".join(str(line[name]) for name in _COLUMNS) + f" | {line['commit']} |"
        for line in lines
    ]
    told = _PAGE.format(machine=last["machine"], versions=versions)
    header = [*_COLUMNS.values(), "commit of `workers`"]
    return "\n".join([told, f"| {' | '.join(header)} |", "|" + "---|" * len(header), *rows, ""])


def _read(results: Path) -> list[dict[str, Any]]:
    with results.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    sys.exit(main())
