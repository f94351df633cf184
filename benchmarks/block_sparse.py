"""What zeros in blocks gain: the runtime `block_sparse` against ONNX Runtime, which keeps them.

`python -m benchmarks.block_sparse` exports layers and encoders, compares them in fresh processes,
one after the other, and prints Markdown tables. The committed ones are in block_sparse.md beside
this file.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxscript import ir
from torch import nn

from search_spaces.compression.masks import block_mask
from workers.environment import processor_name
from workers.runtimes.block_sparse.operator_library import compiler
from workers.runtimes.block_sparse.runtime import BlockSparse
from workers.runtimes.block_sparse.sparse_linears import replace_sparse_linears
from workers.runtimes.exporting import exporting
from workers.runtimes.onnxruntime import OnnxRuntime
from workers.runtimes.runtime import Runtime

PROCESSES = 5
PAIRS = 41
SIDE_NS = 2_000_000  # thread time of one side of a pair

SPARSITIES = (0.25, 0.5, 0.75, 0.9, 0.95)
LAYERS = ((512, 2048), (2048, 512))  # inputs, outputs
SMALL_LAYERS = ((64, 64), (128, 128), (64, 256), (256, 64), (256, 256))
ROWS = (1, 16, 64, 256)
ENCODERS = ((128, 4), (256, 4), (512, 2))  # width, depth
TOKENS = (1, 32, 128)

Invoke = Callable[[], None]


@dataclass(frozen=True)
class Case:
    """One network at one sparsity.

    table, row: where its figure stands; its column is the sparsity.
    forced: a layer is replaced however little that seems to pay.
    against: where the network with its zeros runs.
    """

    table: str
    row: str
    sparsity: float
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    forced: bool
    against: Runtime

    @property
    def name(self) -> str:
        """Names its folder."""
        return f"{self.table} {self.row} {self.sparsity}"


def cases() -> Iterator[Case]:
    """All that is compared."""
    for table, sizes, against in (
        ("layers", LAYERS, OnnxRuntime()),
        # what is to be left to OpenVINO: its calls cost the same on both sides
        ("small layers", SMALL_LAYERS, BlockSparse()),
    ):
        for (inputs, outputs), rows, sparsity in product(sizes, ROWS, SPARSITIES):
            yield Case(
                table,
                f"{inputs} to {outputs}, rows: {rows}",
                sparsity,
                partial(nn.Linear, inputs, outputs),
                (rows, inputs),
                forced=True,
                against=against,
            )
    for (width, depth), tokens, sparsity in product(ENCODERS, TOKENS, SPARSITIES):
        yield Case(
            "encoders",
            f"{depth} layers of width {width}, tokens: {tokens}",
            sparsity,
            partial(encoder, width, depth),
            (1, tokens, width),
            forced=False,
            against=OnnxRuntime(),
        )


def encoder(width: int, depth: int) -> nn.Module:
    """A pre-norm Transformer encoder."""
    torch.backends.mha.set_fastpath_enabled(False)  # it cannot be exported
    layer = nn.TransformerEncoderLayer(
        width, 4, 4 * width, batch_first=True, activation="gelu", norm_first=True
    )
    network = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.05)
    return network


def export(case: Case, folder: Path) -> None:
    """Writes the pruned network for both runtimes: `dense.onnx` and `sparse.onnx`."""
    torch.manual_seed(0)
    network = case.build().eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 2:
                weight.mul_(block_mask(weight, case.sparsity, (16, 1)))
    with exporting("onnxruntime", "fp32", ()):
        program = torch.onnx.export(network, (torch.randn(case.shape),), dynamo=True, verbose=False)
        assert program is not None
        ir.save(program.model, folder / "dense.onnx")
        if case.forced:
            replace_sparse_linears(program.model, least_sparsity=0.0, least_saved=0)
        else:
            replace_sparse_linears(program.model)
        ir.save(program.model, folder / "sparse.onnx")


def compare(case: Case, folder: Path) -> dict[str, float]:
    """The median of pair ratios of thread time, and by how much the answers differ."""
    x = np.random.default_rng(0).standard_normal(case.shape, np.float32)
    dense = case.against.load(folder / "dense.onnx")
    sparse = BlockSparse().load(folder / "sparse.onnx")
    answers, others = dense.run((x,))[0], sparse.run((x,))[0]
    repeats = [max(3, round(SIDE_NS / time_ns(each.invoke, 10))) for each in (dense, sparse)]
    pairs = [
        (time_ns(dense.invoke, repeats[0]), time_ns(sparse.invoke, repeats[1]))
        for _ in range(PAIRS)
    ]
    return {
        "ratio": statistics.median(first / second for first, second in pairs),
        "dense_us": statistics.median(first for first, _ in pairs) / 1000,
        "sparse_us": statistics.median(second for _, second in pairs) / 1000,
        "relative_error": float(np.abs(others - answers).max() / np.abs(answers).max()),
    }


def time_ns(invoke: Invoke, repeats: int) -> float:
    """Thread time of one of `repeats` inferences."""
    start = time.thread_time_ns()
    for _ in range(repeats):
        invoke()
    return (time.thread_time_ns() - start) / repeats


def table(name: str, results: list[dict[str, dict[str, float]]]) -> str:
    """A row for each network, a column for each sparsity."""
    chosen = [case for case in cases() if case.table == name]
    lines = [
        "| | dense, us | " + " | ".join(f"{100 * s:.0f} %" for s in SPARSITIES) + " |",
        "|---|---|" + "---|" * len(SPARSITIES),
    ]
    for row in dict.fromkeys(case.row for case in chosen):
        names = [case.name for case in chosen if case.row == row]
        dense_us = statistics.median(r[each]["dense_us"] for r in results for each in names)
        cells = []
        for each in names:
            ratios = [result[each]["ratio"] for result in results]
            spread = f"({min(ratios):.2f}-{max(ratios):.2f})"
            cells.append(f"{statistics.median(ratios):.2f} {spread}")
        lines.append(f"| {row} | {dense_us:.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints; with --once, one process's figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    once: Path | None = parser.parse_args().once
    if once is not None:
        print(json.dumps({case.name: compare(case, once / case.name) for case in cases()}))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in cases():
            (folder / case.name).mkdir()
            export(case, folder / case.name)
            print(".", end="", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.block_sparse", "--once", str(folder)]
        load_before, results = os.getloadavg()[0], []
        for _ in range(PROCESSES):
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
            print(":", end="", file=sys.stderr, flush=True)
    said = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True)
    worst = max(one["relative_error"] for result in results for one in result.values())
    print(
        f"\n{PROCESSES} fresh processes, {PAIRS} pairs in each; {processor_name()}, "
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}; "
        f"{said.stdout.splitlines()[0]}; onnxruntime {onnxruntime.__version__}, "
        f"block_sparse {BlockSparse().version()}; "
        f"load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after. Answers differ "
        f"by {worst:.1e} of the largest at most.\n"
    )
    for heading in dict.fromkeys(case.table for case in cases()):
        print(f"## {heading.capitalize()}\n\n{table(heading, results)}\n")


if __name__ == "__main__":
    main()
