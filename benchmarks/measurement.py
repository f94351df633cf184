"""How far a latency scatters from run to run: the pair-ratio protocol against a plain mean.

`python -m benchmarks.measurement` measures one network of some 2.5 ms in nine fresh processes,
first beside nothing, then beside a process that works in bursts, and prints a Markdown table.
The committed one is measurement.md beside this file.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from workers.environment import processor_name
from workers.measurement.device_profile import profile_this_host
from workers.measurement.latency import time_pairs
from workers.measurement.pinning import pinned
from workers.measurement.reference import calibrated_reference, load_reference
from workers.measurement.statistics import estimate_quantile
from workers.measurement.timed_block import Invoke, clocks_for
from workers.runtimes.registry import find_runtime

PROCESSES = 9
PLAIN_RUNS = 100
LAYERS, WIDTH, TOKENS = 6, 256, 32

_BURSTS = """
import random, time
import numpy as np
matrix, random = np.ones((700, 700), np.float32), random.Random(0)
while True:
    end = time.monotonic() + random.uniform(0.05, 1.5)
    while time.monotonic() < end:
        matrix @ matrix
    time.sleep(random.uniform(0.05, 0.5))
"""


def export_network(folder: Path) -> None:
    """Writes an encoder of `LAYERS` layers of width `WIDTH` as network.onnx."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, batch_first=True, activation="gelu")
    network = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).eval()
    torch.backends.mha.set_fastpath_enabled(False)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.05)
    find_runtime("onnxruntime").export(network, (torch.randn(1, TOKENS, WIDTH),), folder)


def measure_once(folder: Path) -> dict[str, float]:
    """In this process: the plain mean, then the pair-ratio protocol, in milliseconds."""
    runtime, clocks = find_runtime("onnxruntime"), clocks_for(1)
    inputs = (np.random.default_rng(0).standard_normal((1, TOKENS, WIDTH), np.float32),)

    def load() -> Invoke:
        session = runtime.load(folder / "network.onnx")
        session.prepare(inputs)
        return session.invoke

    reference = calibrated_reference(runtime, 1, clocks, profile_this_host(), folder)
    invoke = load()
    for _ in range(10):
        invoke()
    walls, works = [], []
    for _ in range(PLAIN_RUNS):
        wall, work = clocks.wall(), clocks.work()
        invoke()
        walls.append((clocks.wall() - wall) / 1e6)
        works.append((clocks.work() - work) / 1e6)
    del invoke
    start = time.perf_counter()
    with pinned(1):
        timings = time_pairs(
            lambda _: load(),
            lambda _: load_reference(runtime, reference.path, 1),
            clocks,
            0,
            min_pairs=64,
            relative_ci=0.01,
            time_limit_s=20,
        )
    ratio = estimate_quantile(timings.ratios, 0.5, 0)
    return {
        "mean wall time": statistics.fmean(walls),
        "median wall time": statistics.median(walls),
        "fastest run": min(walls),
        "median CPU time": statistics.median(works),
        "pair ratios": ratio.value * reference.calibration.latency_ms,
        "pair ratios' own sem, %": 100 * ratio.sem / ratio.value,
        "pairs": ratio.n,
        "seconds": time.perf_counter() - start,
    }


def measure_in_fresh_processes(folder: Path) -> list[dict[str, float]]:
    """`measure_once` in `PROCESSES` processes, one after the other."""
    command = [sys.executable, "-m", "benchmarks.measurement", "--once", str(folder)]
    results = []
    for _ in range(PROCESSES):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(".", end="", file=sys.stderr, flush=True)
    return results


def coefficient_of_variation_percent(values: list[float]) -> float:
    """Standard deviation from run to run, in percent of the mean."""
    return 100 * statistics.stdev(values) / statistics.fmean(values)


def table(conditions: dict[str, list[dict[str, float]]]) -> str:
    """One row for each way to measure, two columns for each condition."""
    lines = [
        "| method | " + " | ".join(f"{name}: ms | CV %" for name in conditions) + " |",
        "|---|" + "---|---|" * len(conditions),
    ]
    for method in (
        "mean wall time", "median wall time", "fastest run", "median CPU time", "pair ratios",
    ):  # fmt: skip
        cells: list[Any] = []
        for results in conditions.values():
            values = [result[method] for result in results]
            cells += [f"{statistics.fmean(values):.3f}", coefficient_of_variation_percent(values)]
        shown = [cell if isinstance(cell, str) else f"{cell:.1f}" for cell in cells]
        lines.append(f"| {method} | " + " | ".join(shown) + " |")
    for name, results in conditions.items():
        sem, pairs, seconds = (
            statistics.fmean(result[key] for result in results)
            for key in ("pair ratios' own sem, %", "pairs", "seconds")
        )
        lines.append(
            f"\n{name.capitalize()}: the protocol itself told a standard error of {sem:.2f} %, "
            f"from {pairs:.0f} pairs in {seconds:.1f} s (means over the processes)."
        )
    return "\n".join(lines)


def main() -> None:
    """Measures and prints; with --once, one process's figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    once: Path | None = parser.parse_args().once
    if once is not None:
        print(json.dumps(measure_once(once)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_network(folder)
        measure_once(folder)  # calibrates the reference
        load_before = os.getloadavg()[0]
        conditions = {"beside nothing": measure_in_fresh_processes(folder)}
        bursts = subprocess.Popen(
            [sys.executable, "-c", _BURSTS], env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        )
        try:
            conditions["beside bursts"] = measure_in_fresh_processes(folder)
        finally:
            bursts.kill()
            bursts.wait()
    print(
        f"\n{PROCESSES} fresh processes for each column; {processor_name()}, "
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}; "
        f"load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after.\n"
    )
    print(table(conditions))


if __name__ == "__main__":
    main()
