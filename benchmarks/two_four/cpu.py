"""2:4 on a CPU: the same layers dense and masked, in runtimes that keep the zeros.

`python -m benchmarks.two_four.cpu ORDER` measures one case in a process of its own and prints the
figures as a line of JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.two_four.records import RESULTS, keep, read
from search_spaces.compression.masks import two_of_four_mask
from search_spaces.compression.prunable import prunable_weights
from search_spaces.compression.reduction import from_reduction_matrix, reduction_matrix
from search_spaces.compression.two_four_sparsity.transformer import EncoderLayer
from workers.environment import processor_name
from workers.measurement.pinning import pinned
from workers.runtimes.registry import find_runtime, installed_runtimes

RUNTIMES = ("onnxruntime", "openvino")
SEEDS = 3
PAIRS = 41
SIDE_NS = 2_000_000  # thread time of one side of a pair
LIMIT_S = 300.0


class _Encoder(nn.Module):
    """One encoder layer of width 256 on a command of 16 words."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = EncoderLayer(256)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x, torch.zeros(1, 1, 1, 16))
        return y


CASES: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear 512 to 2048, 1 row": (lambda: nn.Linear(512, 2048), (1, 512)),
    "linear 512 to 2048, 64 rows": (lambda: nn.Linear(512, 2048), (64, 512)),
    "convolution 64 to 64, 3 x 3, 16 x 16": (
        lambda: nn.Conv2d(64, 64, 3, padding=1),
        (1, 64, 16, 16),
    ),
    "LSTM 256 to 256, 16 words": (lambda: nn.LSTM(256, 256, batch_first=True), (1, 16, 256)),
    "encoder layer of width 256, 16 words": (_Encoder, (1, 16, 256)),
}


@torch.no_grad()
def mask(network: nn.Module) -> None:
    """Makes every weight of the network 2:4 that can be, by magnitude."""
    for one in prunable_weights(network, "two_of_four", dense_first_last=False):
        kept = two_of_four_mask(reduction_matrix(one.weight))
        one.weight.masked_fill_(~from_reduction_matrix(kept, one.weight.shape), 0.0)


def compare(case: str, runtime_name: str, seed: int, folder: Path) -> dict[str, Any]:
    """The median of pair ratios of thread time, dense over masked, and the masked one's error."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    build, shape = CASES[case]
    network, x = build().eval(), torch.randn(shape)
    runtime = find_runtime(runtime_name)
    sessions, answer = [], np.empty(0)
    for name in ("dense", "sparse"):
        if name == "sparse":
            mask(network)
        (folder / name).mkdir()
        path = runtime.export(network, (x,), folder / name).path
        sessions.append(runtime.load(path))
        sessions[-1].prepare((x,))
        sessions[-1].invoke()
        with torch.no_grad():
            given = network(x)
        expected = (given if isinstance(given, Tensor) else given[0]).numpy()
        answer = sessions[-1].answers()[0]
    with pinned(1):
        repeats = [max(3, round(SIDE_NS / _time_ns(one.invoke, 10))) for one in sessions]
        pairs = [
            tuple(_time_ns(one.invoke, n) for one, n in zip(sessions, repeats, strict=True))
            for _ in range(PAIRS)
        ]
    return {
        "ratio": statistics.median(dense / sparse for dense, sparse in pairs),
        "dense_us": statistics.median(dense for dense, _ in pairs) / 1000,
        "sparse_us": statistics.median(sparse for _, sparse in pairs) / 1000,
        "relative_error": float(np.abs(answer - expected).max() / np.abs(expected).max()),
    }


def _time_ns(invoke: Callable[[], None], repeats: int) -> float:
    start = time.thread_time_ns()
    for _ in range(repeats):
        invoke()
    return (time.thread_time_ns() - start) / repeats


def record(given: argparse.Namespace, results: Path = RESULTS) -> None:
    """Measures what is missing, each case in a fresh process."""
    known = {(one["case"], one["runtime"], one["seed"]) for one in read("cpu", results)}
    installed = installed_runtimes()
    for seed in range(min(given.seeds, SEEDS)):
        for case in CASES:
            for runtime in RUNTIMES:
                if (case, runtime, seed) in known or runtime not in installed:
                    continue
                order = json.dumps([case, runtime, seed])
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.two_four.cpu", order],
                    capture_output=True, text=True, timeout=LIMIT_S, check=False,
                )  # fmt: skip
                figures = (
                    json.loads(done.stdout.splitlines()[-1])
                    if done.returncode == 0
                    else {"failed": done.stderr.strip().splitlines()[-1][:200]}
                )
                about = {
                    "case": case, "runtime": runtime, "version": installed[runtime], "seed": seed,
                    "processor": processor_name(),
                    "load_average": round(os.getloadavg()[0], 1),
                }  # fmt: skip
                keep("cpu", {**about, **figures}, results)
                print(case, runtime, seed, figures.get("ratio", figures), flush=True)


def told(records: Sequence[Mapping[str, Any]]) -> str:
    """What the figures were taken with."""
    versions = sorted({f"{one['runtime']} {one['version']}" for one in records})
    loads = [one["load_average"] for one in records]
    seeds = len({one["seed"] for one in records})
    return (
        f"Seeds of weights and inputs: {seeds}, each in a fresh process; {PAIRS} interleaved "
        f"pairs, thread time of one thread of {records[-1]['processor']}; {', '.join(versions)}; "
        f"load average {min(loads):g} to {max(loads):g}. Answers are compared with torch's."
    )


def main(order: str) -> None:
    """Measures one case."""
    case, runtime, seed = json.loads(order)
    with tempfile.TemporaryDirectory() as folder:
        figures = compare(case, runtime, seed, Path(folder))
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
