"""Measures one exported network in this process, as a worker does: no torch is imported.

`python -m benchmarks.measurement.fresh_process ORDER` prints one line of JSON. Before the protocol
it takes what one would without it: the plain mean of `PLAIN_RUNS` timed inferences.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workers.measurement.kept_paces import KeptPaces
from workers.measurement.latency import Load, time_pairs
from workers.measurement.pinning import pinned
from workers.measurement.timed_block import Invoke, clocks_for
from workers.runtimes.onnxruntime import OnnxRuntime

PLAIN_RUNS = 100
_WARM_UP_RUNS = 10


@dataclass(frozen=True)
class Order:
    """What to measure: folders with `network.onnx` and `inputs.npz` each.

    paces: the file that keeps the machine's from run to run, as a worker's cache does.
    """

    candidate: str
    reference: str
    paces: str
    seed: int
    time_limit_s: float
    min_pairs: int = 64
    relative_ci: float = 0.01


def measure_freshly(order: Order) -> dict[str, Any]:
    """Its figures, found in a process of its own: see `measure`."""
    command = [sys.executable, "-m", "benchmarks.measurement.fresh_process"]
    done = subprocess.run(
        [*command, json.dumps(asdict(order))], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(order: Order) -> dict[str, Any]:
    """Both ways in this process.

    plain_mean_ms, plain_cpu_mean_ms: of wall and CPU time. ratio, ratio_sem: of the protocol.
    """
    load, reference = _loading(Path(order.candidate)), _loading(Path(order.reference))
    walls, works = _plain_times_ms(load(0))
    start, paces = time.perf_counter(), KeptPaces(Path(order.paces))
    with pinned(1) as cores:
        timings = time_pairs(
            load,
            reference,
            clocks_for(1),
            order.seed,
            min_pairs=order.min_pairs,
            relative_ci=order.relative_ci,
            time_limit_s=order.time_limit_s,
            cores=cores,
            quickest_pace_ns=paces.quickest_ns(),
        )
    paces.keep(timings.pace_ns)
    ratio = timings.median_ratio(order.seed)
    return {
        "plain_mean_ms": float(np.mean(walls)),
        "plain_cpu_mean_ms": float(np.mean(works)),
        "ratio": ratio.value,
        "ratio_sem": ratio.sem,
        "pairs": ratio.n,
        "rounds": ratio.rounds,
        "slow_rounds": timings.slow_rounds,
        "slow_core_rounds": timings.slow_core_rounds,
        "reference_ms": round(float(np.median(timings.reference_ns)) / 1e6, 4),
        "ended_by": timings.ended_by,
        "unsettled_rounds": timings.unsettled_rounds,
        "set_aside": timings.set_aside.pairs,
        "counted_disturbed": timings.counted.pairs,
        "noisy": timings.is_noisy,
        "seconds": round(time.perf_counter() - start, 2),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _plain_times_ms(invoke: Invoke) -> tuple[list[float], list[float]]:
    clocks = clocks_for(1)
    for _ in range(_WARM_UP_RUNS):
        invoke()
    walls, works = [], []
    for _ in range(PLAIN_RUNS):
        wall, work = clocks.wall(), clocks.work()
        invoke()
        walls.append((clocks.wall() - wall) / 1e6)
        works.append((clocks.work() - work) / 1e6)
    return walls, works


def _loading(folder: Path) -> Load:
    with np.load(folder / "inputs.npz") as arrays:
        inputs = [arrays[name] for name in arrays.files]

    def load(_: int) -> Invoke:
        session = OnnxRuntime().load(folder / "network.onnx", 1)
        session.prepare(inputs)
        return session.invoke

    return load


if __name__ == "__main__":
    print(json.dumps(measure(Order(**json.loads(sys.argv[1])))))
