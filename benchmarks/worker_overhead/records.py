"""Results kept as one JSON line per run, and the table made of them."""

import json
import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.source_commit import commit_of
from benchmarks.worker_overhead import overhead
from benchmarks.worker_overhead.overhead import PARTS, OverheadRun

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("README.md")
_PACKAGES = ("torch", "pydantic", "numpy")


def keep(run: OverheadRun, results: Path = RESULTS) -> None:
    """Adds the run with the workers' commit, the versions, the machine and its load after."""
    line = {
        "commit": commit_of("workers"),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "load": round(os.getloadavg()[1], 1),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
        "run": asdict(run),
    }
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def write_table(results: Path = RESULTS, table: Path = TABLE) -> None:
    """Writes the page of all kept runs."""
    with results.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    table.write_text(text_of(lines), encoding="utf-8")


def text_of(lines: Sequence[dict[str, Any]]) -> str:
    """The page: of runs alike the median, with the least and the largest in brackets."""
    last = lines[-1]
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    first, *rest = (overhead.__doc__ or "").strip().splitlines()
    groups = defaultdict(list)
    for line in lines:
        groups[line["commit"], line["run"]["exports"]].append(line)
    heads = ["commit", "exports", "runs", "trials", "overhead", "9 of 10", "worker's own"]
    heads += [f"{part.replace('_', ' ')}" for part in PARTS] + ["load"]
    rows = [_row(commit, exports, found) for (commit, exports), found in groups.items()]
    return "\n".join(
        [
            f"# {first.rstrip('.')}",
            "",
            (
                "Written by `python -m benchmarks.worker_overhead table` from `results.jsonl`; "
                "`python -m benchmarks.worker_overhead run` adds runs. Server and worker share the "
                f"machine: {last['machine']}; {versions}. `load` is its load average meanwhile, "
                "of which server and worker make up about one."
            ),
            *rest,
            "",
            (
                "Seconds, each the median over a run's trials. `overhead` is what counts, "
                "`9 of 10` is what nine trials in ten do not exceed, and `worker's own` what the "
                "recipe has no part in; then the parts in their order, `training`, `export` and "
                "the imports of `torch`, `recipe` and `compiler` included, which do not count."
            ),
            "",
            f"| {' | '.join(heads)} |",
            f"|{'---|' * len(heads)}",
            *rows,
            "",
        ]
    )


def _row(commit: str, exports: bool, found: Sequence[dict[str, Any]]) -> str:
    runs = [line["run"] for line in found]
    cells = [commit, "yes" if exports else "no", str(len(runs))]
    cells += [str(sum(run["trials"] for run in runs))]
    cells += [
        _spread([run[name] for run in runs]) for name in ("overhead_s", "overhead_p90_s", "own_s")
    ]
    cells += [_spread([run["parts_s"][part] for run in runs]) for part in PARTS]
    loads = [line["load"] for line in found]
    return f"| {' | '.join([*cells, f'{min(loads):g}-{max(loads):g}'])} |"


def _spread(values: Sequence[float]) -> str:
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f}-{max(values):.2f})"
