"""Results kept as one JSON line for each figure taken, and the table made of them."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measurement import figures
from benchmarks.source_commit import commit_of
from workers.measurement.device_profile import profile_this_host

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("results.md")
_NETWORKS = {
    "scatter": "28 MB",
    "scatter_small": "1.6 MB",
    "equal": "28 MB",
    "equal_small": "1.6 MB",
}
_VERSIONS = ("onnxruntime", "numpy", "torch")


def keep(figure: str, settings: dict[str, Any], result: dict[str, Any], path: Path) -> None:
    """Adds the figure with commit, versions, device and its load."""
    line = {
        "figure": figure,
        "commit": commit_of("workers/measurement"),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": profile_this_host().model_dump(mode="json"),
        "load_average": round(os.getloadavg()[0], 2),
        "versions": {name: version(name) for name in _VERSIONS},
        "settings": settings,
        "result": result,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def write_table(results: Path = RESULTS, table: Path = TABLE) -> None:
    """Writes the tables of all kept figures."""
    with results.open(encoding="utf-8") as file:
        table.write_text(text_of([json.loads(line) for line in file]), encoding="utf-8")


def text_of(lines: Sequence[dict[str, Any]]) -> str:
    """The page: a table for each figure, one row each time it was taken."""
    device, versions = lines[-1]["device"], lines[-1]["versions"]
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    parts = [
        "# Whether a latency can be trusted",
        "",
        "Written by `python -m benchmarks.measurement table` from `results.jsonl`, where every",
        "single measurement stands; `make bench-measurement` adds to it.",
        "",
        f"Last machine: {device['processor']}, {device['cores']} cores, {device['system']}, kernel",
        f"{device['kernel']}; {named}. `load` is the load average in the end, our own included.",
        "",
        (figures.__doc__ or "").split("\n\n", 1)[1].strip(),
        "",
        "## Scatter from run to run",
        "",
        "Bars: at most 1.5 %, and at most a fifth of the plain mean's.",
        "",
        (
            "| network | processes | s each | CV % | CV % of the plain mean | of its CPU time "
            "| told sem % | noisy | load | commit | met |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_scatter_row(line) for line in lines if line["figure"] in ("scatter", "scatter_small")),
        "",
        "## Two equal networks in turn",
        "",
        "Bar: the interval of the difference covers 0 in 18 of 20.",
        "",
        "| network | s each | covered | largest difference % | noisy | load | commit | met |",
        "|---|---|---|---|---|---|---|---|",
        *(_equal_row(line) for line in lines if line["figure"] in ("equal", "equal_small")),
        "",
        "## Order of twelve NLU networks in two passes",
        "",
        "Bar: Kendall's tau of at least 0.95.",
        "",
        "| seed | s each | tau | smallest gap % | noisy | load | commit | met |",
        "|---|---|---|---|---|---|---|---|",
        *(_order_row(line) for line in lines if line["figure"] == "order"),
        "",
    ]
    return "\n".join(parts)


def _scatter_row(line: dict[str, Any]) -> str:
    result = line["result"]
    runs = result["runs"]
    return _row(
        _NETWORKS[line["figure"]],
        len(runs),
        line["settings"]["time_limit_s"],
        f"{result['cv_percent']:.2f}",
        f"{result['plain_cv_percent']:.1f}",
        f"{result['plain_cpu_cv_percent']:.1f}",
        f"{result['told_sem_percent']:.2f}",
        _noisy(runs),
        *_end(line),
    )


def _equal_row(line: dict[str, Any]) -> str:
    result = line["result"]
    runs = [one for run in result["runs"] for one in (run["one"], run["other"])]
    return _row(
        _NETWORKS[line["figure"]],
        line["settings"]["time_limit_s"],
        f"{result['covered']} of {result['of']}",
        f"{result['largest_difference_percent']:.1f}",
        _noisy(runs),
        *_end(line),
    )


def _order_row(line: dict[str, Any]) -> str:
    result, settings = line["result"], line["settings"]
    return _row(
        settings["seed"],
        settings["time_limit_s"],
        f"{result['kendall_tau']:.3f}",
        f"{result['smallest_gap_percent']:.2f}",
        _noisy([run for one_pass in result["passes"] for run in one_pass]),
        *_end(line),
    )


def _noisy(runs: Sequence[dict[str, Any]]) -> str:
    return f"{sum(run['noisy'] for run in runs)} of {len(runs)}"


def _end(line: dict[str, Any]) -> tuple[object, ...]:
    return line["load_average"], line["commit"], "yes" if line["result"]["met"] else "**no**"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
