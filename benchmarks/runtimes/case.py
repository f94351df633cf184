"""One case, in a process of its own: `python -m benchmarks.runtimes.case ORDER`.

Exports a network, compares its answers with torch's, and times it against the reference network in
ONNX Runtime. Prints the figures, or why there are none, as one line of JSON.
"""

import json
import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.runtimes.networks import build
from workers.measurement.agreement import TOLERANCES, check_agreement
from workers.measurement.latency import time_alone, time_pairs
from workers.measurement.pinning import pinned
from workers.measurement.reference_network import build_reference, reference_input
from workers.measurement.timed_block import Invoke, clocks_for
from workers.runtimes.errors import ExportFailed, LoadFailed, PrecisionMissing
from workers.runtimes.onnxruntime import OnnxRuntime
from workers.runtimes.registry import find_runtime

MIN_PAIRS = 32
RELATIVE_CI = 0.02
TIME_LIMIT_S = 4.0


@dataclass(frozen=True)
class Order:
    """What to measure. reference: the reference network's file for ONNX Runtime."""

    network: str
    runtime: str
    precision: Any
    seed: int
    reference: str


def export_reference(folder: Path) -> Path:
    """Writes the reference network for ONNX Runtime."""
    return OnnxRuntime().export(build_reference(), reference_input(), folder).path


def measure(order: Order, folder: Path) -> dict[str, Any]:
    """The figures of one case; `failed` with the reason where the runtime cannot."""
    torch.set_num_threads(1)
    case, runtime = build(order.network, order.seed), find_runtime(order.runtime)
    before = _cpu_s()
    try:
        exported = runtime.export(
            case.network, case.inputs[0], folder, order.precision, case.inputs
        )
        export_cpu_s = _cpu_s() - before
        session = runtime.load(exported.path)
    except (ExportFailed, LoadFailed, PrecisionMissing) as error:
        return {"failed": str(error)}
    agreement = check_agreement(case.network, session, case.inputs, np.inf)
    del session

    def load(index: int) -> Invoke:
        loaded = runtime.load(exported.path)
        loaded.prepare(case.inputs[index % len(case.inputs)])
        return loaded.invoke

    reference = Path(order.reference)
    with pinned(1) as cores:
        alone = time_alone(
            lambda _: _load_reference(reference), clocks_for(1), order.seed, cores=cores
        )
        timings = time_pairs(
            load,
            lambda _: _load_reference(reference),
            clocks_for(1),
            order.seed,
            min_pairs=MIN_PAIRS,
            relative_ci=RELATIVE_CI,
            time_limit_s=TIME_LIMIT_S,
            cores=cores,
            quickest_pace_ns=alone.pace_ns,
        )
    ratio = timings.median_ratio(order.seed)
    return {
        "export_s": exported.export_s,
        "export_cpu_s": export_cpu_s,
        "size_bytes": exported.size_bytes,
        "relative_error": agreement.worst_relative_error,
        "agrees": agreement.worst_relative_error <= TOLERANCES[order.precision],
        "ratio": ratio.value,
        "ratio_sem": ratio.sem,
        "reference_ms": alone.median_ns.value / 1e6,
        "pairs": int(timings.ratios.size),
        "ended_by": timings.ended_by,
    }


def _load_reference(path: Path) -> Invoke:
    session = OnnxRuntime().load(path)
    session.prepare(reference_input())
    return session.invoke


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main(argument: str) -> None:
    """Measures what `argument`, an order in JSON, says."""
    order = Order(**json.loads(argument))
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(order, Path(folder))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
