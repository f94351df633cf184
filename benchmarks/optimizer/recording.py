"""Records the table of `nlu_table`: trains every arm, measures every architecture.

`python -m benchmarks.optimizer record train` goes on where it was, one row after the other;
`record measure` wants a machine with nothing else running. How each was taken stands beside the
tables in errors.json and latencies.json.
"""

import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.optimizer.problems.nlu_table import (
    ARCHITECTURE_NAMES,
    ERRORS_TABLE,
    LATENCIES_TABLE,
    TABLES_FOLDER,
    Row,
    arm_of,
    every_architecture,
    every_arm,
    read_rows,
    write_rows,
)
from benchmarks.training import train_through
from search_spaces.arm import Arm
from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from search_spaces.language.nlu_encoder.training import recipe
from search_spaces.recipe import TrainingContext
from service.domain.device import MeasurementSettings
from workers.benches.in_process import InProcessBench
from workers.environment import machine_profile, package_versions
from workers.measurement.measure import measure
from workers.registration import machine_device
from workers.runtimes.registry import find_runtime
from workers.training.scattered_weights import scatter_weights

SEEN_COMMANDS: Final = 16_384
"""Training commands per arm, half of the recipe's budget, whatever the batch size."""
_SEED = 0
_INPUTS = 8
_FIXED = {
    "heads": 2,
    "head_dim": 16,
    "ffn_ratio": 2.0,
    "ffn_sparsity": 0.5,
}
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "archfront" / "bench"


def record_errors(folder: Path = TABLES_FOLDER, limit: int | None = None) -> int:
    """Trains the arms that have no row yet (at most `limit`); gives how many are still left."""
    torch.set_num_threads(1)
    path = folder / ERRORS_TABLE
    rows = {arm_of(row).signature: row for row in read_rows(path)}
    left = [arm for arm in every_arm() if arm.signature not in rows]
    for arm in left[:limit]:
        rows[arm.signature] = _trained_row(arm)
        write_rows(path, [rows[a.signature] for a in every_arm() if a.signature in rows])
        _write_protocol(path, {"seen_commands": SEEN_COMMANDS, "seed": _SEED, "fixed": _FIXED})
        print(len(rows), rows[arm.signature], flush=True)
    return len(every_arm()) - len(rows)


def record_latencies(folder: Path = TABLES_FOLDER, limit: int | None = None) -> int:
    """Measures the architectures that have no row yet; gives how many are still left.

    Untrained: the latency depends on the shapes alone, not on the weights.
    """
    torch.set_num_threads(1)
    path = folder / LATENCIES_TABLE
    rows = {arm_of(row).signature: row for row in read_rows(path)}
    architectures = list(every_architecture())
    left = [arm for arm in architectures if arm.signature not in rows]
    for arm in left[:limit]:
        rows[arm.signature], protocol = _measured_row(arm)
        write_rows(path, [rows[a.signature] for a in architectures if a.signature in rows])
        _write_protocol(path, {"fixed": _FIXED, "last_protocol": protocol})
        print(len(rows), rows[arm.signature], flush=True)
    return len(architectures) - len(rows)


def in_nlu_encoder(arm: Arm) -> Arm:
    """The sub-space's arm as an arm of `nlu_encoder`."""
    given = SEARCH_SPACE.baseline.parameters | _FIXED | arm.parameters
    if given["conv_layers"] == 0:
        del given["conv_kernel"]
    if given["ffn_pruning"] == "none":
        del given["ffn_sparsity"]
    problems = SEARCH_SPACE.space.problems_with(given)
    if problems:
        raise ValueError(f"{arm.parameters} is no arm of nlu_encoder: {problems}")
    return SEARCH_SPACE.space.canonical(given)


def _trained_row(arm: Arm) -> Row:
    _CACHE.mkdir(parents=True, exist_ok=True)
    steps = SEEN_COMMANDS // int(arm.parameters["batch_size"])
    started_s = time.process_time()
    with tempfile.TemporaryDirectory() as work:
        context = TrainingContext(_SEED, _CACHE, Path(work), max_steps=steps)
        trained = train_through(recipe(), in_nlu_encoder(arm), context)
    cpu_s = time.process_time() - started_s
    figures = trained.metrics
    weights = sum(weight.numel() for weight in trained.network.parameters())
    return {name: str(value) for name, value in arm.parameters.items()} | {
        "frame_error": f"{figures['frame_error'].mean:.6f}",
        "frame_error_sem": f"{figures['frame_error'].sem:.6f}",
        "validation_frame_error": f"{figures['validation_frame_error'].mean:.6f}",
        "intent_error": f"{figures['intent_error'].mean:.6f}",
        "slot_error": f"{figures['slot_error'].mean:.6f}",
        "weight_count": str(weights),
        "train_cpu_s": f"{cpu_s:.2f}",
    }


def _measured_row(arm: Arm) -> tuple[Row, dict[str, Any]]:
    _CACHE.mkdir(parents=True, exist_ok=True)
    whole = in_nlu_encoder(arm)
    network = recipe().build(whole)
    scatter_weights(network, _SEED)
    with tempfile.TemporaryDirectory() as work:
        context = TrainingContext(_SEED, _CACHE, Path(work))
        inputs = recipe().example_inputs(whole, _INPUTS, context)
        runtime = find_runtime("onnxruntime")
        bench = InProcessBench(runtime, machine_device(), Path(work))
        settings = MeasurementSettings()
        measured = measure(network, inputs, settings, runtime, bench, _CACHE, Path(work), _SEED)
    latency = measured.metrics["latency_ms"]
    row = {name: str(arm.parameters[name]) for name in ARCHITECTURE_NAMES} | {
        "latency_ms": f"{latency.mean:.6f}",
        "latency_ms_sem": f"{latency.sem:.6f}",
        "pairs": str(latency.n),
        "macs": f"{measured.metrics['macs'].mean:.0f}",
        "load_average": f"{os.getloadavg()[0]:.2f}",
    }
    return row, measured.protocol


def _write_protocol(table: Path, protocol: dict[str, Any]) -> None:
    record = {
        "search_space": f"{SEARCH_SPACE.name}@{SEARCH_SPACE.version}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        **protocol,
        "packages": package_versions(),
        "machine": {k: v for k, v in machine_profile().items() if k != "host"},
    }
    table.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
