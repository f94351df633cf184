"""The `train` stage: trains the arm and keeps its weights, and its deployable file."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch

from search_spaces.metric import TRAINED_METRICS
from search_spaces.recipe import CurvePoint, Estimate, Recipe, TrainingContext
from search_spaces.space import SearchSpace
from service.domain.measurement import Measurement
from workers.deployable import export_trained
from workers.durable_file import write_durably
from workers.environment import stage_environment
from workers.errors import CheckpointUnusable
from workers.measurement.footprint import count_nonzero_weights
from workers.measurements import to_measurements
from workers.stage_order import StageOrder
from workers.stage_result import OutputFile, StageCompleted
from workers.training.kept_checkpoints import CheckpointPlan
from workers.training.loop import TrainingEnd, run_training
from workers.training.seeding import seed_everything
from workers.training.weights import save_weights
from workers.work_folder import WorkFolder

WEIGHTS_FILE = "network.safetensors"
"""The name under which `train` leaves the weights to `measure`."""
INPUT_COUNT = 8
"""Real inputs on which the exported network is compared with torch and timed."""


def training_context(order: StageOrder) -> TrainingContext:
    """Where, under which seed and how long the arm of `order` trains."""
    return TrainingContext(
        seed=order.grant.seed,
        cache_folder=order.cache_folder,
        work_folder=order.folder.scratch,
        max_steps=order.grant.training.max_steps,
    )


def append_point(curve_path: Path, point: CurvePoint) -> None:
    """Adds one line to the learning curve, whole, for the worker to pass on."""
    line = json.dumps(
        {"step": point.step, "metrics": {k: float(v) for k, v in point.metrics.items()}}
    )
    with curve_path.open("a") as file:
        file.write(line + "\n")


def train_stage(order: StageOrder, space: SearchSpace, recipe: Recipe) -> StageCompleted:
    """Trains; gives the space's metrics and the weights, or what there was when told to stop.

    An arm that was measured before is exported here, for its measure stage kept no file.
    """
    limits = order.grant.training
    try:
        end = _train(order, recipe)
    except CheckpointUnusable as error:
        print(f"The checkpoint is refused, training starts anew. {error}")
        order.folder.earlier.unlink()
        seed_everything(order.grant.seed)
        end = _train(order, recipe)
    protocol: dict[str, Any] = {
        "seed": order.grant.seed,
        "steps": end.steps,
        "max_steps": limits.max_steps,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if end.trained is None:
        return StageCompleted(
            measurements=_so_far(end, space, protocol),
            early_stopped=True,
            environment=stage_environment(),
        )
    protocol |= {"notes": dict(end.trained.notes)}
    network = end.trained.network
    counted = {"nonzero_weight_count": Estimate(count_nonzero_weights(network))}
    measurements = to_measurements(
        {**end.trained.metrics, **counted}, space.trained_metrics + TRAINED_METRICS, protocol
    )
    weights = order.folder.outputs / WEIGHTS_FILE
    save_weights(network, weights)
    return StageCompleted(
        measurements=measurements,
        files=(
            OutputFile(name=WEIGHTS_FILE, path=weights),
            *_deployable(order, space, recipe, network),
        ),
        environment=stage_environment(),
    )


def _train(order: StageOrder, recipe: Recipe) -> TrainingEnd:
    return run_training(
        recipe,
        order.grant.arm,
        training_context(order),
        on_point=lambda point: append_point(order.folder.curve, point),
        stop_requested=order.folder.stop_flag.exists,
        wall_clock_limit_s=order.grant.training.wall_clock_limit_s,
        keeping=_checkpoint_plan(order),
        on_resumed=partial(_note_resumed, order.folder),
    )


def _checkpoint_plan(order: StageOrder) -> CheckpointPlan | None:
    grant = order.grant
    if grant.training.checkpoint_interval_s is None:
        return None
    space = f"{grant.search_space.name}@{grant.search_space.version}"
    training = f"{space} {grant.arm.signature} {grant.seed} {grant.training.max_steps}"
    return CheckpointPlan(training, order.folder, grant.training.checkpoint_interval_s)


def _note_resumed(folder: WorkFolder, step: int) -> None:
    print(f"Training goes on from the checkpoint after {step} steps.")
    write_durably(folder.resumed, str(step).encode())


def _deployable(
    order: StageOrder, space: SearchSpace, recipe: Recipe, network: torch.nn.Module
) -> tuple[OutputFile, ...]:
    settings = order.measurement(space)
    if not settings.untrained:
        return ()  # the measure stage exports it, for it measures the trained network
    inputs = recipe.example_inputs(order.grant.arm, INPUT_COUNT, training_context(order))
    path = export_trained(network, inputs, settings, order.folder.outputs)
    return () if path is None else (OutputFile(name=path.name, path=path),)


def _so_far(
    end: TrainingEnd, space: SearchSpace, protocol: dict[str, Any]
) -> dict[str, Measurement]:
    """The space's metrics as far as the learning curve has them: of each its newest value."""
    found: dict[str, Measurement] = {}
    for metric in space.trained_metrics:
        if metric.name in end.latest:
            step, value = end.latest[metric.name]
            told = protocol | {"steps": step, "early_stopped": True}
            found |= to_measurements({metric.name: Estimate(value)}, [metric], told)
    return found
