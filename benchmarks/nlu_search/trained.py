"""Trains and measures arms of `nlu_encoder`, each once, and keeps what came of it."""

import os
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.optimizer.problems.problem import Problem
from benchmarks.records import Line, add, measured_on, read
from benchmarks.source_commit import commit_of
from benchmarks.training import train_through
from search_spaces.arm import Arm
from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from search_spaces.language.nlu_encoder.training import recipe
from search_spaces.recipe import ArmInfeasible, Estimate, TrainingContext
from service.domain.device import MeasurementSettings
from service.domain.objective import Objective
from workers.benches.in_process import InProcessBench
from workers.measurement.measure import measure
from workers.registration import machine_device
from workers.runtimes.registry import find_runtime
from workers.training.scattered_weights import scatter_weights

TABLE = Path(__file__).with_name("trained.jsonl")
SEEN_COMMANDS = 16_384
"""Training commands per arm, half of the recipe's budget, whatever the batch size."""

QUICK = MeasurementSettings(time_limit_s=6.0, relative_ci=0.02)
_SEED, _INPUTS = 0, 8
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "archfront" / "bench"
_PACKAGES = ("torch", "onnxruntime", "numpy")


class TrainedArms:
    """The table; what it lacks is trained and measured when it is asked for.

    max_steps: of a training (None: what `SEEN_COMMANDS` make).
    """

    def __init__(
        self,
        table: Path = TABLE,
        cache: Path = _CACHE,
        max_steps: int | None = None,
        settings: MeasurementSettings = QUICK,
    ) -> None:
        self._table = table
        self._cache = cache
        self._max_steps = max_steps
        self._settings = settings
        self._lines = {line["signature"]: line for line in read(table)}

    def line_of(self, arm: Arm) -> Line:
        """With `frame_error`, `latency_ms` and their sems; 1 the error of what diverges."""
        if arm.signature not in self._lines:
            line = self._take(arm)
            add(line, self._table)
            self._lines[arm.signature] = line
        return self._lines[arm.signature]

    def problem(self) -> Problem:
        """The search problem whose truth is this table."""

        def values(arm: Arm) -> dict[str, float]:
            line = self.line_of(arm)
            return {name: line[name] for name in ("frame_error", "latency_ms")}

        def sems(arm: Arm) -> dict[str, float]:
            line = self.line_of(arm)
            return {name: line[f"{name}_sem"] for name in ("frame_error", "latency_ms")}

        return Problem(
            name="nlu_search",
            description="really trained networks of the whole search space nlu_encoder",
            space=SEARCH_SPACE.space,
            objectives=(
                Objective(metric="frame_error", goal="minimize", threshold=0.6),
                Objective(metric="latency_ms", goal="minimize", threshold=0.4),
            ),
            true_values=values,
            known_sems=sems,
            is_high_dimensional=True,
        )

    def _take(self, arm: Arm) -> Line:
        torch.set_num_threads(1)
        self._cache.mkdir(parents=True, exist_ok=True)
        begun_s = time.process_time()
        error = self._frame_error(arm)
        train_cpu_s = time.process_time() - begun_s
        latency, protocol = self._latency(arm)
        return {
            "signature": arm.signature,
            "frame_error": error.mean,
            "frame_error_sem": error.sem,
            "latency_ms": latency.mean,
            "latency_ms_sem": latency.sem,
            "noisy": protocol["noisy"],
            "train_cpu_s": round(train_cpu_s, 2),
            "arm": dict(arm.parameters),
            "seed": _SEED,
            "commit": commit_of("search_spaces/language/nlu_encoder"),
            "measurement_commit": commit_of("workers/measurement"),
            **measured_on(_PACKAGES),
        }

    def _frame_error(self, arm: Arm) -> Estimate:
        steps = self._max_steps or SEEN_COMMANDS // int(arm.parameters["batch_size"])
        with tempfile.TemporaryDirectory() as work:
            context = TrainingContext(_SEED, self._cache, Path(work), max_steps=steps)
            try:
                return train_through(recipe(), arm, context).metrics["frame_error"]
            except ArmInfeasible:
                return Estimate(1.0, 0.01)

    def _latency(self, arm: Arm) -> tuple[Estimate, Line]:
        """Untrained: the latency depends on the shapes alone, not on the weights."""
        network, runtime = recipe().build(arm), find_runtime("onnxruntime")
        scatter_weights(network, _SEED)
        with tempfile.TemporaryDirectory() as work:
            context = TrainingContext(_SEED, self._cache, Path(work))
            measured = measure(
                network,
                recipe().example_inputs(arm, _INPUTS, context),
                self._settings,
                runtime,
                InProcessBench(runtime, machine_device(), Path(work)),
                self._cache,
                Path(work),
                _SEED,
            )
        return measured.metrics["latency_ms"], measured.protocol
