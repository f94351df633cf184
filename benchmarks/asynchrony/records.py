"""Results kept as one JSON line per run, and the tables made of them."""

import json
import os
import platform
import sqlite3
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.asynchrony.heartbeats import HeartbeatRun
from benchmarks.asynchrony.idle_share import IdleRun
from benchmarks.asynchrony.lease_latency import LOADS, LatencyRun
from benchmarks.source_commit import commit_of

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("README.md")


def keep(run: LatencyRun | IdleRun | HeartbeatRun, results: Path = RESULTS) -> None:
    """Adds the run with the service's commit, the versions, the machine and its load before."""
    line = {
        "kind": type(run).__name__,
        "commit": commit_of("service"),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "load_before": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: version(name) for name in ("fastapi", "uvicorn", "SQLAlchemy", "psycopg")},
        },
        "run": asdict(run),
    }
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def write_table(results: Path = RESULTS, table: Path = TABLE) -> None:
    """Writes the tables of all kept runs."""
    with results.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    table.write_text(text_of(lines), encoding="utf-8")


def text_of(lines: Sequence[dict[str, Any]]) -> str:
    """The page with all tables; medians, with the least and the largest in brackets."""
    last = lines[-1]
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    parts = [
        "# Whether anyone waits",
        "",
        (
            "Written by `python -m benchmarks.asynchrony table` from `results.jsonl`; "
            "`make bench-asynchrony` adds runs."
        ),
        "",
        (
            f"Machine: {last['machine']}; {versions}. Server, suggester, model and all simulated "
            "workers share it. `machine` is its load average before the runs: what other "
            "processes took from them. `disk sync p99` is what the disk took meanwhile to sync "
            "4 KiB of another file: a commit waits for as much (-: not recorded then)."
        ),
        "",
        "## Latency of a lease from a warm pool",
        "",
        _first_paragraph("lease_latency"),
        "",
        (
            "| database | load | workers | runs | leases | p50 ms | p99 ms | worst ms "
            "| leases/s | server CPU ms per request | disk sync p99 ms | machine |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *_latency_rows([line for line in lines if line["kind"] == "LatencyRun"]),
        "",
        "## Idle share of workers",
        "",
        _first_paragraph("idle_share"),
        "",
        (
            "| database | strategy | workers | runs | minutes | trials | idle % | in reports % "
            "| longest wait s | pool ranked anew | proposed by | machine |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *_idle_rows([line for line in lines if line["kind"] == "IdleRun"]),
        "",
        "## Heartbeats of a large fleet",
        "",
        _first_paragraph("heartbeats"),
        "",
        (
            "| database | workers | trial s | kills | runs | heartbeats | p50 ms | p99 ms "
            "| worst ms | client lag p99 ms | leases | lost | expired | invariants broken "
            "| refused | longest silence s | CPU %: server | database | client | disk sync p99 ms "
            "| worst ms | machine |"
        ),
        f"|{'---|' * 22}",
        *_heartbeat_rows([line for line in lines if line["kind"] == "HeartbeatRun"]),
        "",
    ]
    return "\n".join(parts)


def _first_paragraph(module: str) -> str:
    """What the module says of itself, as Markdown."""
    text = sys.modules[f"benchmarks.asynchrony.{module}"].__doc__ or ""
    lines = text.strip().splitlines()
    return "\n".join(f"- {line}" if line.startswith("`") else line for line in lines)


def _latency_rows(lines: Iterable[dict[str, Any]]) -> list[str]:
    groups = defaultdict(list)
    for line in lines:
        run = line["run"]
        groups[run["database"], LOADS.index(run["load"]), run["workers"]].append(line)
    rows = []
    for (database, load, workers), found in sorted(groups.items()):
        runs = [line["run"] for line in found]
        cells = [database, LOADS[load], workers, len(runs), sum(run["leases"] for run in runs)]
        cells += [_spread(runs, name) for name in ("p50_ms", "p99_ms", "worst_ms")]
        cells += [_spread(runs, "leases_per_s"), _spread(runs, "server_ms")]
        cells += [_spread([run for run in runs if "sync_p99_ms" in run], "sync_p99_ms")]
        cells += [_load(found)]
        rows.append(_row(cells))
    return rows


def _idle_rows(lines: Iterable[dict[str, Any]]) -> list[str]:
    groups = defaultdict(list)
    for line in lines:
        run = line["run"]
        groups[run["database"], run["strategy"], run["workers"]].append(line)
    rows = []
    for (database, strategy, workers), found in sorted(groups.items()):
        runs = [line["run"] for line in found]
        sources: dict[str, int] = defaultdict(int)
        for run in runs:
            for source, count in run["sources"].items():
                sources[source] += count
        cells = [database, strategy, workers, len(runs), _spread(runs, "minutes")]
        cells += [sum(run["trials"] for run in runs)]
        cells += [_spread(runs, "idle_percent"), _spread(runs, "report_percent")]
        cells += [_spread(runs, "longest_wait_s"), sum(run["renewals"] for run in runs)]
        cells += [", ".join(f"{source} {count}" for source, count in sorted(sources.items()))]
        rows.append(_row([*cells, _load(found)]))
    return rows


def _heartbeat_rows(lines: Iterable[dict[str, Any]]) -> list[str]:
    groups = defaultdict(list)
    for line in lines:
        run = line["run"]
        groups[run["database"], run["workers"], run["trial_s"], run["kills"]].append(line)
    rows = []
    for (database, workers, trial_s, kills), found in sorted(groups.items()):
        runs = [line["run"] for line in found]
        cells = [database, workers, f"{trial_s:g}", kills, len(runs)]
        cells += [sum(run["heartbeats"] for run in runs)]
        cells += [_spread(runs, name) for name in ("p50_ms", "p99_ms", "worst_ms", "lag_p99_ms")]
        cells += [
            sum(run[name] for run in runs)
            for name in ("leases", "lost", "expired", "broken", "refused")
        ]
        cells += [
            _spread(runs, name)
            for name in (
                "longest_silence_s",
                "server_percent",
                "database_percent",
                "client_percent",
                "sync_p99_ms",
                "sync_worst_ms",
            )
        ]
        rows.append(_row([*cells, _load(found)]))
    return rows


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _spread(runs: Sequence[dict[str, Any]], name: str) -> str:
    values = [run[name] for run in runs]
    if not values:
        return "-"
    middle = f"{statistics.median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g}-{max(values):.3g})"


def _load(lines: Sequence[dict[str, Any]]) -> str:
    loads = [line["load_before"] for line in lines]
    return f"{min(loads):g}-{max(loads):g}"
