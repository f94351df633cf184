import dataclasses
import importlib.util

import pytest
import torch

from search_spaces.language.depth_pruned_llm import training
from search_spaces.language.depth_pruned_llm.network import BLOCKS
from search_spaces.language.depth_pruned_llm.training import recipe
from search_spaces.language.depth_pruned_llm.world import load_world, metrics_of, pruned_copy
from search_spaces.recipe import ArmInfeasible
from tests.search_spaces.kept_states import KeptStates
from tests.search_spaces.language.depth_pruned_llm.arms import arm_with
from tests.search_spaces.language.depth_pruned_llm.families import transformers  # noqa: F401

FULL = {"tuning": "full", "lora_rank": None, "lora_alpha_ratio": None}


def run(arm, context):
    points, steps = [], recipe().train(arm, context)
    while True:
        try:
            points.append(next(steps))
        except StopIteration as end:
            return points, end.value


@pytest.mark.parametrize("count", [0, 4])
def test_the_deployed_network_lacks_the_blocks(count, context):
    changes = {} if count else {"removal_criterion": None, "calibration_texts": None}
    arm = arm_with(removed_blocks=count, **changes)
    _, result = run(arm, context)
    assert not result.network.training
    assert len(result.network.language_model.model.layers) == BLOCKS - count
    removed = [int(one) for one in result.notes["removed_blocks"].split(",") if one]
    assert len(removed) == count
    (scores,) = result.network(torch.randint(1, 9, (3, 5)))
    assert scores.shape[0] == 3


@pytest.mark.parametrize("changes", [{}, FULL])
def test_it_goes_on_from_a_step_to_the_same_weights(changes, context, tmp_path):
    arm = arm_with(batch_size=16, exchanges=100, **changes)
    kept = KeptStates(tmp_path)
    points, whole = run(arm, dataclasses.replace(context, checkpoints=kept))
    assert kept.steps == [1, 2]
    gone_on = KeptStates(tmp_path, go_on_after=1)
    later, result = run(arm, dataclasses.replace(context, checkpoints=gone_on))
    assert later == [point for point in points if point.step > 1]
    assert (result.metrics, result.notes) == (whole.metrics, whole.notes)
    weights = whole.network.state_dict()
    for name, weight in result.network.state_dict().items():
        assert torch.equal(weight, weights[name]), name


def test_the_budget_is_exchanges_not_steps(context, monkeypatch):
    monkeypatch.setattr(training, "SEEN_EXCHANGES", 64)
    points, result = run(arm_with(batch_size=64), context)
    assert points[-1].step == result.notes["steps"] == 1


def test_an_unpruned_copy_recovers_all_and_forgets_nothing(cache_folder):
    world = load_world(cache_folder, seed=0, max_steps=2)
    metrics = metrics_of(pruned_copy(world, ()), world)
    assert metrics["mean_accuracy"] == world.scores.accuracy()
    assert metrics["forgetting"].mean == 0.0
    assert metrics["acceptance_rate"].mean == 1.0


def test_divergence_is_the_arms_own_fault(context, monkeypatch):
    monkeypatch.setattr(training.FineTuning, "step", lambda _: float("nan"))
    with pytest.raises(ArmInfeasible, match=r"loss became nan.*lower learning_rate"):
        run(arm_with(), context)


def test_what_is_missing_is_named_with_the_remedy(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(training, "find_spec", lambda name: None if name == "peft" else found(name))
    with pytest.raises(ModuleNotFoundError, match=r"needs peft; .*archfront\[llm\]") as missing:
        recipe()
    assert missing.value.name == "peft"
