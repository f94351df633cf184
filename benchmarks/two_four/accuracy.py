"""The error of each network dense, masked, and retrained, over seeds."""

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.source_commit import commit_of
from benchmarks.training import train_through
from benchmarks.two_four.records import RESULTS, keep, read
from search_spaces.arm import Arm
from search_spaces.compression.two_four_sparsity.space import SEARCH_SPACE
from search_spaces.compression.two_four_sparsity.task import load_task
from search_spaces.compression.two_four_sparsity.training import planned_steps, recipe
from search_spaces.parameters import ParameterValue
from search_spaces.recipe import TrainingContext, TrainingState
from workers.environment import processor_name

NETWORKS = ("convolution", "transformer", "lstm")

LEARNING_RATES = {"convolution": 3e-3, "transformer": 5e-3, "lstm": 1e-2}
"""Of the dense training and of the retraining: those with which each learns well dense."""

METHODS: Mapping[str, Mapping[str, ParameterValue]] = {
    "two_of_four": {},
    "permuted": {"permute": True},
    "random": {"mask_criterion": "random"},
    "unstructured": {"pattern": "unstructured", "sparsity": 0.5, "sparsity_schedule": "one_shot"},
    "trained_twice": {"pattern": "none"},
}
"""What differs from the space's baseline, which is the paper's recipe."""

SEEDS = 5


def arm_of(network: str, method: str) -> Arm:
    """The baseline's sizes and recipe for every kind of network, at its own learning rate."""
    given = {
        **SEARCH_SPACE.baseline.parameters,
        "network": network,
        "learning_rate": LEARNING_RATES[network],
        **METHODS[method],
    }
    active = {parameter.name for parameter in SEARCH_SPACE.space.active(given)}
    return SEARCH_SPACE.space.canonical({k: v for k, v in given.items() if k in active})


class DenseOnce:
    """`Checkpoints` by which all masks of one seed begin from one dense training.

    step: the last of the dense training; all that comes later differs from mask to mask.
    """

    is_due = True

    def __init__(self, step: int) -> None:
        self._step = step
        self._state: TrainingState | None = None

    def save(self, step: int, state: TrainingState) -> None:
        """Keeps the state at the end of the dense training."""
        if step == self._step:
            self._state = copy.deepcopy(state)

    @contextmanager
    def restoring(self) -> Iterator[TrainingState | None]:
        """Gives it, once there is one."""
        yield copy.deepcopy(self._state)


def run(arm: Arm, context: TrainingContext) -> dict[str, Any]:
    """One training on one thread."""
    torch.set_num_threads(1)
    start = time.process_time()
    trained = train_through(recipe(), arm, context)
    metrics = {name: estimate.mean for name, estimate in trained.metrics.items()}
    return {
        **metrics,
        "weights": sum(weight.numel() for weight in trained.network.parameters()),
        "sparse_weights": trained.notes["sparse_weights"],
        "test_examples": trained.notes["test_examples"],
        "cpu_s": round(time.process_time() - start, 1),
        "torch": version("torch"),
        "processor": processor_name(),
        "source": commit_of("search_spaces/compression"),
    }


def record(given: argparse.Namespace, results: Path = RESULTS) -> None:
    """Trains what is missing, seed after seed."""
    known = {(one["network"], one["method"], one["seed"]) for one in read("accuracy", results)}
    with tempfile.TemporaryDirectory() as folder:
        cache = given.cache or Path(folder)
        for seed in range(given.seeds):
            for network in given.networks:
                missing = [one for one in given.methods if (network, one, seed) not in known]
                if missing:
                    for one in _trained(network, missing, seed, cache, given.steps):
                        keep("accuracy", one, results)


def _trained(
    network: str, methods: list[str], seed: int, cache: Path, steps: int | None
) -> Iterator[dict[str, Any]]:
    seen = load_task(network, cache).seen
    dense_steps, _ = planned_steps(arm_of(network, methods[0]), seen, steps)
    dense = DenseOnce(dense_steps)
    for method in methods:
        one = run(arm_of(network, method), TrainingContext(seed, cache, cache, steps, dense))
        about = {"network": network, "method": method, "seed": seed}
        load = {"load_average": round(os.getloadavg()[0], 1)}
        yield {**about, **one, **load}
        print(
            f"{network} {method} seed {seed}: dense {100 * one['dense_error']:.2f} %, masked "
            f"{100 * one['zero_shot_error']:.2f} %, retrained {100 * one['error']:.2f} %, "
            f"{one['cpu_s']} CPU s",
            flush=True,
        )
