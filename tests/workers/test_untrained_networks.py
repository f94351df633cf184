"""Every search space that says its arms can be measured before their training is held to it."""

from random import Random

import pytest
import torch

from search_spaces.recipe import TrainingContext
from search_spaces.registry import installed_registry
from tests.search_spaces.sampling import sample_arm
from workers.measurement.footprint import count_footprint
from workers.runtimes.onnxruntime import OnnxRuntime
from workers.training.loop import run_training
from workers.training.scattered_weights import scatter_weights

DECLARED = [space.name for space in installed_registry() if space.measures_untrained]


def test_there_are_such_spaces():
    assert "nlu_encoder" in DECLARED


@pytest.mark.parametrize("name", DECLARED)
def test_an_untrained_network_is_exported_like_the_trained_one(name, tmp_path):
    installed = installed_registry().find(name)
    try:
        recipe = installed.load_recipe()
    except ModuleNotFoundError as missing:
        pytest.skip(f"{name} cannot be trained here: {missing}")
    arm = sample_arm(installed.space.space, Random(5))
    context = TrainingContext(
        seed=1, cache_folder=tmp_path / "cache", work_folder=tmp_path, max_steps=2
    )
    end = run_training(recipe, arm, context, on_point=lambda _: None, stop_requested=lambda: False)
    assert end.trained is not None
    untrained = recipe.build(arm)
    scatter_weights(untrained, seed=2)

    inputs = recipe.example_inputs(arm, 1, context)[0]
    assert count_footprint(untrained, inputs) == count_footprint(end.trained.network, inputs)
    runtime = OnnxRuntime()
    sizes, graphs = [], []
    for number, network in enumerate((untrained, end.trained.network)):
        folder = tmp_path / str(number)
        folder.mkdir()
        exported = runtime.export(network.eval(), inputs, folder)
        sizes.append(exported.size_bytes)
        graphs.append(_operations(exported.path))
    assert graphs[0] == graphs[1]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-3)
    with torch.no_grad():
        assert all(torch.isfinite(answer).all() for answer in untrained(*inputs))


def _operations(path):
    import onnx  # noqa: PLC0415

    return [node.op_type for node in onnx.load(path).graph.node]
