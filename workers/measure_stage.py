"""The `measure` stage: builds the arm's network and measures it in its runtime."""

import logging
from pathlib import Path

import torch

from search_spaces.metric import MEASURED_METRICS, OPTIONAL_METRICS
from search_spaces.recipe import DeployedRecipe, NestedRecipe, Recipe
from search_spaces.space import SearchSpace
from service.domain.calibration import drift_of
from service.domain.device import MeasurementSettings
from service.domain.measurement import Measurement
from service.schemas.leases import MAX_CALIBRATIONS
from workers.benches.open_bench import open_bench
from workers.environment import stage_environment
from workers.errors import GrantRefused, MetricsDisagree
from workers.further_networks import FurtherNetworks
from workers.measurement.agreement import JUDGED_BY_ACCURACY
from workers.measurement.measure import measure
from workers.measurements import to_measurements
from workers.runtimes.registry import find_runtime
from workers.stage_order import StageOrder
from workers.stage_result import OutputFile, StageCompleted
from workers.train_stage import INPUT_COUNT, WEIGHTS_FILE, training_context
from workers.training.scattered_weights import scatter_weights
from workers.training.weights import load_weights

_logger = logging.getLogger(__name__)


def measure_stage(order: StageOrder, space: SearchSpace, recipe: Recipe) -> StageCompleted:
    """Measures; gives what the grant asks for, and the exported network.

    That is: what the target's device decides, also of the space's own metrics, of the optional
    metrics those that are named, and in a trial's first measurement what the architecture alone
    does, and what the recipe evaluates.

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
    bare_names = {name.partition("@")[0] for name in grant.metrics}
    optional = tuple(metric for metric in OPTIONAL_METRICS if metric.name in bare_names)
    settings = order.measurement(space)
    runtime = find_runtime(settings.chosen_runtime)
    tolerance = _tolerance(space, settings)
    scratch = order.folder.scratch
    with open_bench(order.device, order.device_name, runtime, scratch) as bench:
        measured = measure(
            network.eval(),
            inputs,
            settings,
            runtime,
            bench,
            order.cache_folder,
            scratch,
            grant.seed,
            [metric.name for metric in optional],
            tolerance=tolerance,
        )
        further = FurtherNetworks(settings, runtime, bench, order, tolerance)
        evaluated |= _evaluated_deployed(order, space, recipe, network, further)
    protocol = measured.protocol | {"untrained": untrained}
    found = to_measurements(measured.metrics, MEASURED_METRICS + optional, protocol) | evaluated
    exported = OutputFile(name=measured.exported_path.name, path=measured.exported_path)
    drift = drift_of(measured.calibrations)
    if drift is not None and drift.is_alarming:
        _logger.warning("This device %s.", drift)
    return StageCompleted(
        measurements={name: found[name.partition("@")[0]] for name in grant.metrics},
        files=() if untrained else (exported,),
        calibrations=measured.calibrations[-MAX_CALIBRATIONS:],
        environment=stage_environment(),
    )


def _evaluated(
    order: StageOrder, space: SearchSpace, recipe: Recipe, network: torch.nn.Module
) -> dict[str, Measurement]:
    """The metrics that depend on evaluation parameters, of the network as it is deployed."""
    if not {metric.name for metric in space.evaluated_metrics} & set(order.grant.metrics):
        return {}
    if not isinstance(recipe, NestedRecipe):
        raise MetricsDisagree(
            f"{space.name} declares metrics of the measure stage, and its recipe has no "
            "evaluate(); add it, or declare them for the train stage"
        )
    found = recipe.evaluate(order.grant.arm, network.eval(), training_context(order))
    protocol = {"seed": order.grant.seed, "torch": torch.__version__}
    return to_measurements(found, space.evaluated_metrics, protocol)


def _tolerance(space: SearchSpace, settings: MeasurementSettings) -> float | None:
    """Of the comparison with torch; None: that of the precision.

    An arm that is quantised by its own choice is judged by what its space measures of the export.
    """
    chooses = space.precision_parameter is not None and bool(space.deployed_metrics)
    return JUDGED_BY_ACCURACY if chooses and settings.precision != "fp32" else None


def _evaluated_deployed(
    order: StageOrder,
    space: SearchSpace,
    recipe: Recipe,
    network: torch.nn.Module,
    deploy: FurtherNetworks,
) -> dict[str, Measurement]:
    """The space's own metrics that the device decides."""
    if not space.deployed_metrics:
        return {}
    if not isinstance(recipe, DeployedRecipe):
        raise MetricsDisagree(
            f"{space.name} declares metrics by_device, and its recipe has no "
            "evaluate_deployed(); add it, or declare them for another stage"
        )
    context = training_context(order)
    found = recipe.evaluate_deployed(order.grant.arm, network.eval(), deploy, context)
    return to_measurements(found, space.deployed_metrics, deploy.protocol)


def _trained_weights(order: StageOrder) -> Path:
    weights = order.folder.inputs / WEIGHTS_FILE
    if not weights.exists():
        raise GrantRefused(
            f"Stage {order.grant.stage!r} of trial {order.grant.trial_number} came without "
            f"{WEIGHTS_FILE}; its train stage must complete first."
        )
    return weights
