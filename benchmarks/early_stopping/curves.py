"""Records the learning curves of really trained arms, and reads them back."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from search_spaces.arm import Arm
from search_spaces.recipe import CurvePoint, TrainingContext
from search_spaces.registry import installed_registry
from search_spaces.values import Value
from service.domain.device import MeasurementSettings
from service.domain.measurement import Measurement
from service.optimizer.sobol import new_arms
from workers.measurement.measure import measure
from workers.training.loop import run_training
from workers.training.scattered_weights import scatter_weights
from workers.training.seeding import seed_everything

RECORDED = Path(__file__).with_name("curves.jsonl")
SPACE = "nlu_encoder"

_INPUTS = 8
_METRICS_KEPT = ("frame_error", "validation_frame_error", "train_loss", "latency_ms")


class RecordedPoint(Value):
    """A point of a learning curve."""

    step: int
    metrics: dict[str, float]


class RecordedTrial(Value):
    """One arm that was measured and trained to its end.

    train_s: CPU seconds of the training.
    """

    number: int
    seed: int
    arm: Arm
    curve: tuple[RecordedPoint, ...]
    measurements: dict[str, Measurement]
    train_s: float


def record(count: int, cache_folder: Path, work_folder: Path, *, out: Path = RECORDED) -> None:
    """Measures and trains the first `count` arms of the quasi-random sequence.

    It goes on where an earlier run has ended.
    """
    torch.set_num_threads(1)
    space = installed_registry().find(SPACE).space
    arms = new_arms(space.space, (), count, seed=0, position=0)
    known = {trial.number for trial in read(out)} if out.exists() else set()
    for number, arm in enumerate(arms):
        if number in known:
            continue
        trial = _trained(number, arm, cache_folder, work_folder / str(number))
        with out.open("a") as file:
            file.write(trial.model_dump_json(exclude_defaults=True) + "\n")
        error = trial.measurements["frame_error"].mean
        print(f"arm {number}: frame error {error:.3f}, {trial.train_s:.0f} CPU s", flush=True)


def _trained(number: int, arm: Arm, cache_folder: Path, folder: Path) -> RecordedTrial:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = installed_registry().find(SPACE).load_recipe()
    seed_everything(number)
    context = TrainingContext(seed=number, cache_folder=cache_folder, work_folder=folder)
    points: list[CurvePoint] = []
    began_s = time.process_time()
    end = run_training(recipe, arm, context, on_point=points.append, stop_requested=lambda: False)
    train_s = time.process_time() - began_s
    if end.trained is None:
        raise RuntimeError(f"the training of arm {number} was stopped; nobody may stop it here")
    network = recipe.build(arm)
    scatter_weights(network, number)
    inputs = recipe.example_inputs(arm, _INPUTS, context)
    settings = MeasurementSettings(time_limit_s=3.0)
    found = measure(network, inputs, settings, cache_folder, folder, number).metrics
    found = {**end.trained.metrics, **found}
    return RecordedTrial(
        number=number,
        seed=number,
        arm=arm,
        curve=tuple(
            RecordedPoint(step=point.step, metrics={k: float(v) for k, v in point.metrics.items()})
            for point in points
        ),
        measurements={
            name: Measurement(mean=found[name].mean, sem=found[name].sem, n=found[name].n)
            for name in _METRICS_KEPT
        },
        train_s=round(train_s, 1),
    )


def read(path: Path = RECORDED) -> list[RecordedTrial]:
    """The recorded trials, in the order of their numbers."""
    return sorted(_lines(path), key=lambda trial: trial.number)


def _lines(path: Path) -> Iterator[RecordedTrial]:
    with path.open() as file:
        for line in file:
            yield RecordedTrial.model_validate(json.loads(line))
