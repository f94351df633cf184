"""The `measure` stage: builds the arm's network and measures it in its runtime."""

from pathlib import Path

import torch

from search_spaces.metric import MEASURED_METRICS
from search_spaces.recipe import NestedRecipe, Recipe
from search_spaces.space import SearchSpace
from service.domain.measurement import Measurement
from workers.environment import stage_environment
from workers.errors import GrantRefused, MetricsDisagree
from workers.measurement.measure import measure
from workers.measurements import to_measurements
from workers.stage_order import StageOrder
from workers.stage_result import OutputFile, StageCompleted
from workers.train_stage import INPUT_COUNT, WEIGHTS_FILE, training_context
from workers.training.scattered_weights import scatter_weights
from workers.training.weights import load_weights


def measure_stage(order: StageOrder, space: SearchSpace, recipe: Recipe) -> StageCompleted:
    """Measures; gives `MEASURED_METRICS`, what the recipe evaluates, and the exported network.

    A network that is measured before its training has weights of no meaning: its file is not
    kept, lest somebody deploys it.
    Raises: GrantRefused if the stage came without the weights that `train` left.
    """
    grant = order.grant
    untrained = bool(grant.measurement.untrained)
    network = recipe.build(grant.arm)
    if untrained:
        scatter_weights(network, grant.seed)
    else:
        load_weights(network, _trained_weights(order))
    evaluated = _evaluated(order, space, recipe, network)
    inputs = recipe.example_inputs(grant.arm, INPUT_COUNT, training_context(order))
    measured = measure(
        network.eval(),
        inputs,
        grant.measurement,
        order.cache_folder,
        order.folder.scratch,
        grant.seed,
    )
    protocol = measured.protocol | {"untrained": untrained}
    exported = OutputFile(name=measured.exported_path.name, path=measured.exported_path)
    return StageCompleted(
        measurements={
            **to_measurements(measured.metrics, MEASURED_METRICS, protocol),
            **evaluated,
        },
        files=() if untrained else (exported,),
        environment=stage_environment(),
    )


def _evaluated(
    order: StageOrder, space: SearchSpace, recipe: Recipe, network: torch.nn.Module
) -> dict[str, Measurement]:
    """The metrics that depend on evaluation parameters, of the network as it is deployed."""
    if not space.evaluated_metrics:
        return {}
    if not isinstance(recipe, NestedRecipe):
        raise MetricsDisagree(
            f"{space.name} declares metrics of the measure stage, and its recipe has no "
            "evaluate(); add it, or declare them for the train stage"
        )
    found = recipe.evaluate(order.grant.arm, network.eval(), training_context(order))
    protocol = {"seed": order.grant.seed, "torch": torch.__version__}
    return to_measurements(found, space.evaluated_metrics, protocol)


def _trained_weights(order: StageOrder) -> Path:
    weights = order.folder.inputs / WEIGHTS_FILE
    if not weights.exists():
        raise GrantRefused(
            f"Stage {order.grant.stage!r} of trial {order.grant.trial_number} came without "
            f"{WEIGHTS_FILE}; its train stage must complete first."
        )
    return weights
