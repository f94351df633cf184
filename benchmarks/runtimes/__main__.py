"""`python -m benchmarks.runtimes`: see the package."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.runtimes.case import Order, export_reference
from benchmarks.runtimes.networks import NETWORK_NAMES
from benchmarks.runtimes.records import RESULTS, TABLE, Key, keep, key_of, read
from benchmarks.runtimes.table import SPARSE, text_of
from service.domain.runtimes import RUNTIME_PRECISIONS
from workers.environment import processor_name
from workers.runtimes.registry import installed_runtimes

SEEDS = 3
CASE_LIMIT_S = 900.0


def wanted(arguments: argparse.Namespace) -> Iterator[Key]:
    """The cases asked for, those of one seed after those of another."""
    installed, processor = installed_runtimes(), processor_name()
    for seed in range(arguments.seeds):
        for network in arguments.networks:
            for runtime in arguments.runtimes:
                if runtime not in installed:
                    continue
                for precision in RUNTIME_PRECISIONS[runtime]:
                    if network in SPARSE and precision != "fp32":
                        continue
                    yield Key(network, runtime, installed[runtime], precision, seed, processor)


def run(order: Order) -> dict[str, Any]:
    """One case in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.runtimes.case", json.dumps(asdict(order))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CASE_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done within {CASE_LIMIT_S:.0f} s"}
    if done.returncode != 0:
        return {"failed": f"ended with exit code {done.returncode}: {done.stderr[-300:]}"}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(given: Sequence[str] | None = None) -> None:
    """Measures what is missing, one case after the other, and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtimes", description=__doc__)
    parser.add_argument(
        "--runtimes", nargs="+", choices=RUNTIME_PRECISIONS, default=[*RUNTIME_PRECISIONS]
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORK_NAMES, default=[*NETWORK_NAMES])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args(given)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the compilers and exporters, too
    known = {key_of(record) for record in read(arguments.results)}
    left = [key for key in wanted(arguments) if key not in known]
    with tempfile.TemporaryDirectory() as folder:
        reference = export_reference(Path(folder)) if left else Path()
        for place, key in enumerate(left):
            figures = run(Order(key.network, key.runtime, key.precision, key.seed, str(reference)))
            record = {
                **figures,
                **asdict(key),
                "torch": version("torch"),
                "cores": os.cpu_count(),
                "load_average": round(os.getloadavg()[0], 1),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            keep(record, arguments.results)
            told = figures.get("failed") or f"{figures['ratio']:.3f} of the reference"
            print(f"{place + 1}/{len(left)} {key.network} {key.runtime} {key.precision}: {told}")
    arguments.table.write_text(text_of(read(arguments.results)), encoding="utf-8")


if __name__ == "__main__":
    main()
