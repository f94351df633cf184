"""The contract of a search space, held to by every installed one."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import chain
from random import Random
from typing import ClassVar

import pytest
import torch

from search_spaces.builtin import builtin_spaces
from search_spaces.language.depth_pruned_pretrained.model_folder import VARIABLE
from search_spaces.metric import MEASURED_METRICS, OPTIONAL_METRICS, TRAINED_METRICS
from search_spaces.recipe import DeployedRecipe, Estimate, Recipe
from search_spaces.registry import installed_registry
from search_spaces.space import SearchSpace
from service.domain.runtimes import RUNTIME_PRECISIONS
from tests.search_spaces.kept_states import KeptStates
from tests.search_spaces.language.depth_pruned_pretrained.letter_folder import make_folder
from tests.search_spaces.sampling import sample_arm

RANDOM_ARMS = 6

INSTALLED = {
    entry.space.name: entry
    for entry in chain(
        builtin_spaces(),
        (installed_registry().find(space.name) for space in installed_registry()),
    )
}
CASES = [
    pytest.param(name, number, id=f"{name}-{'baseline' if number < 0 else f'arm{number}'}")
    for name in INSTALLED
    for number in range(-1, RANDOM_ARMS)
]


def arm_of(name, number):
    space = INSTALLED[name].space
    return space.baseline if number < 0 else sample_arm(space.space, Random(number))


def trained(recipe, arm, context):
    """Runs the training to its end: its points and what it gives."""
    points, training = [], recipe.train(arm, context)
    while True:
        try:
            points.append(next(training))
        except StopIteration as end:
            return points, end.value


class LoadedRecipes(dict[str, Recipe]):
    """Recipes by the names of their spaces; asked for one whose extra is missing, it skips."""

    def __missing__(self, name):
        try:
            self[name] = INSTALLED[name].load_recipe()
        except ModuleNotFoundError as missing:
            pytest.skip(f"{name} cannot be trained here: {missing}")
        return self[name]


@pytest.fixture(scope="module", autouse=True)
def _a_model_of_ones_own(tmp_path_factory):
    if find_spec("transformers") is None:
        yield
        return
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(VARIABLE, str(make_folder(tmp_path_factory.mktemp("own"), 17)))
        yield


@pytest.fixture(scope="module")
def recipes():
    return LoadedRecipes()


@pytest.mark.parametrize("name", INSTALLED)
def test_survives_the_wire(name):
    space = INSTALLED[name].space
    assert SearchSpace.model_validate_json(space.model_dump_json()) == space


@pytest.mark.parametrize("name", INSTALLED)
def test_names_its_train_metrics_apart_from_the_measured(name):
    space = INSTALLED[name].space
    names = [metric.name for metric in space.metrics]
    assert len(set(names)) == len(names)
    everyones = TRAINED_METRICS + MEASURED_METRICS + OPTIONAL_METRICS
    assert not set(names) & {metric.name for metric in everyones}
    assert all(metric.stage in {"train", "measure"} for metric in space.metrics)
    assert all(metric.description for metric in space.metrics)


@pytest.mark.parametrize("name", INSTALLED)
def test_the_baseline_is_in_its_one_spelling(name):
    space = INSTALLED[name].space
    assert space.space.canonical(space.baseline.parameters) == space.baseline
    assert list(space.baseline.parameters) == [
        parameter.name for parameter in space.space.active(space.baseline.parameters)
    ]


def test_listing_the_spaces_imports_no_torch():
    code = (
        "import sys; from search_spaces.builtin import builtin_spaces; "
        "names = [entry.space.name for entry in builtin_spaces()]; "
        "known = {'torch', 'numpy', 'hassil', 'transformers', 'sqlalchemy', 'ax'}; "
        "heavy = known & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy or not names else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "number"), CASES)
def test_trains_reports_and_reloads(name, number, recipes, context):
    recipe, arm = recipes[name], arm_of(name, number)
    points, result = trained(recipe, arm, context)

    steps = [point.step for point in points]
    assert steps == sorted(set(steps))
    assert steps[-1] == 2
    assert all(torch.isfinite(torch.tensor(list(point.metrics.values()))).all() for point in points)

    declared = {metric.name for metric in INSTALLED[name].space.trained_metrics}
    assert set(result.metrics) == declared
    for estimate in result.metrics.values():
        assert torch.isfinite(torch.tensor(estimate.mean))
        assert estimate.sem is None or estimate.sem > 0
        assert estimate.n >= 1

    assert not result.network.training
    built = recipe.build(arm)
    assert not built.training
    built.load_state_dict(result.network.state_dict())
    for inputs in recipe.example_inputs(arm, 3, context):
        with torch.no_grad():
            for one, other in zip(built(*inputs), result.network(*inputs), strict=True):
                assert torch.equal(one, other)
                assert torch.isfinite(one).all()


class InTorch:
    """A network deployed nowhere: torch answers, and every inference takes two milliseconds."""

    metrics: ClassVar = {"latency_ms": Estimate(2.0, 0.1, 64)}

    def __init__(self, network, inputs):
        assert len({tuple((one.shape, one.dtype) for one in each) for each in inputs}) == 1
        self.network = network

    def run(self, inputs):
        with torch.no_grad():
            return [one.numpy() for one in self.network(*map(torch.from_numpy, inputs))]


@pytest.mark.parametrize("name", INSTALLED)
def test_gives_the_metrics_of_a_device_that_it_declares(name, recipes, context):
    space = INSTALLED[name].space
    if not space.deployed_metrics:
        pytest.skip(f"{name} has none")
    recipe = recipes[name]
    assert isinstance(recipe, DeployedRecipe)
    network = recipe.build(space.baseline)
    found = recipe.evaluate_deployed(space.baseline, network, InTorch, context)
    assert found.keys() == {metric.name for metric in space.deployed_metrics}
    for estimate in found.values():
        assert torch.isfinite(torch.tensor(estimate.mean))
        assert estimate.sem is None or estimate.sem > 0


@pytest.mark.parametrize("name", INSTALLED)
def test_the_precisions_of_its_arms_are_those_of_some_runtime(name):
    space = INSTALLED[name].space
    if space.precision_parameter is None:
        pytest.skip(f"{name} leaves the precision to the experiment")
    asked = set(space.space.by_name[space.precision_parameter].values)
    assert any(asked <= set(has) for has in RUNTIME_PRECISIONS.values())


@pytest.mark.parametrize("name", INSTALLED)
def test_example_inputs_are_alike_in_shape_and_not_in_content(name, recipes, context):
    inputs = recipes[name].example_inputs(arm_of(name, -1), 8, context)
    assert len(inputs) == 8
    assert len({tuple((tensor.shape, tensor.dtype) for tensor in one) for one in inputs}) == 1
    assert all(tensor.shape[0] == 1 for one in inputs for tensor in one)
    assert len({tuple(tensor.numpy().tobytes() for tensor in one) for one in inputs}) > 1


@pytest.mark.parametrize("name", INSTALLED)
def test_building_is_repeatable_and_leaves_the_random_state_alone(name, recipes):
    arm = arm_of(name, 0)
    before = torch.get_rng_state()
    one, other = recipes[name].build(arm), recipes[name].build(arm)
    assert torch.equal(before, torch.get_rng_state())
    for weight, same in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(weight, same)


@pytest.mark.parametrize("name", INSTALLED)
def test_training_is_a_function_of_arm_and_seed(name, recipes, context):
    recipe, arm = recipes[name], arm_of(name, 0)
    points, first = trained(recipe, arm, context)
    # what the caller draws between two points must not matter
    training, disturbed = recipe.train(arm, context), []
    try:
        while True:
            disturbed.append(next(training))
            torch.rand(7)
    except StopIteration as end:
        second = end.value
    assert points == disturbed
    assert first.metrics == second.metrics
    for one, other in zip(
        first.network.state_dict().values(), second.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", INSTALLED)
def test_a_training_gone_on_with_ends_as_if_it_had_never_been_broken_off(
    name, recipes, context, tmp_path
):
    recipe, arm = recipes[name], arm_of(name, 0)
    context = replace(context, max_steps=5)
    points, whole = trained(recipe, arm, context)
    kept = KeptStates(tmp_path)
    assert trained(recipe, arm, replace(context, checkpoints=kept))[0] == points
    if not kept.steps:
        pytest.skip("the recipe begins anew whenever it was broken off")
    step = kept.steps[len(kept.steps) // 2]
    torch.rand(7)  # another process: whatever was drawn there before
    gone_on = replace(context, checkpoints=KeptStates(tmp_path, go_on_after=step))
    later, result = trained(recipe, arm, gone_on)
    assert later == [point for point in points if point.step > step]
    assert result.metrics == whole.metrics
    assert result.notes == whole.notes
    for one, other in zip(
        whole.network.state_dict().values(), result.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", INSTALLED)
def test_training_can_be_stopped_between_two_points(name, recipes, context):
    training = recipes[name].train(arm_of(name, -1), context)
    next(training)
    training.close()
    with pytest.raises(StopIteration):
        next(training)
