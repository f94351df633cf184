"""The `measure` stage: rebuilds the trained network and measures it in its runtime."""

from search_spaces.metric import MEASURED_METRICS
from search_spaces.recipe import Recipe
from workers.environment import stage_environment
from workers.errors import GrantRefused
from workers.measurement.measure import measure
from workers.measurements import to_measurements
from workers.stage_order import StageOrder
from workers.stage_result import OutputFile, StageCompleted
from workers.train_stage import WEIGHTS_FILE, training_context
from workers.training.weights import load_weights

INPUT_COUNT = 8
"""Real inputs on which the exported network is compared with torch and timed."""


def measure_stage(order: StageOrder, recipe: Recipe) -> StageCompleted:
    """Measures; gives `MEASURED_METRICS` and the exported network.

    Raises: GrantRefused if the stage came without the weights that `train` left.
    """
    grant = order.grant
    weights = order.folder.inputs / WEIGHTS_FILE
    if not weights.exists():
        raise GrantRefused(
            f"Stage {grant.stage!r} of trial {grant.trial_number} came without {WEIGHTS_FILE}; "
            "its train stage must complete first."
        )
    network = recipe.build(grant.arm)
    load_weights(network, weights)
    inputs = recipe.example_inputs(grant.arm, INPUT_COUNT, training_context(order))
    measured = measure(
        network.eval(),
        inputs,
        grant.measurement,
        order.cache_folder,
        order.folder.scratch,
        grant.seed,
    )
    return StageCompleted(
        measurements=to_measurements(measured.metrics, MEASURED_METRICS, measured.protocol),
        files=(OutputFile(name=measured.exported_path.name, path=measured.exported_path),),
        environment=stage_environment(),
    )
