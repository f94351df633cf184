import dataclasses
import importlib.util

import pytest
import torch

from search_spaces.language.depth_pruned_llm import letter_world, recovery, training
from search_spaces.language.depth_pruned_llm.letter_world import load_world
from search_spaces.language.depth_pruned_llm.merging import slerp_weights
from search_spaces.language.depth_pruned_llm.network import BLOCKS
from search_spaces.language.depth_pruned_llm.training import recipe
from search_spaces.language.depth_pruned_llm.world import pruned_copy
from search_spaces.recipe import ArmInfeasible
from tests.search_spaces.kept_states import KeptStates
from tests.search_spaces.language.depth_pruned_llm.arms import arm_with
from tests.search_spaces.language.depth_pruned_llm.families import transformers  # noqa: F401

FULL = {"tuning": "full", "lora_rank": None, "lora_alpha_ratio": None, "lora_targets": None}
MERGED = {"merging": "slerp", "merge_share": 0.5}


def through(steps):
    points = []
    while True:
        try:
            points.append(next(steps))
        except StopIteration as end:
            return points, end.value


def run(arm, context):
    return through(recipe().train(arm, context))


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


@pytest.mark.parametrize(
    ("changes", "steps"), [({}, (1, 2)), (FULL, (1, 2)), (MERGED, (1, 2, 3, 4))]
)
def test_it_goes_on_from_any_step_to_the_same_weights(changes, steps, context, tmp_path):
    context = dataclasses.replace(context, max_steps=len(steps))
    arm = arm_with(batch_size=16, exchanges=100, **changes)
    kept = KeptStates(tmp_path)
    points, whole = run(arm, dataclasses.replace(context, checkpoints=kept))
    assert tuple(kept.steps) == steps
    assert [point.step for point in points] == list(steps)
    for step in steps:
        gone_on = KeptStates(tmp_path, go_on_after=step)
        later, result = run(arm, dataclasses.replace(context, checkpoints=gone_on))
        assert later == [point for point in points if point.step > step]
        check_the_same(result, whole)


def check_the_same(result, whole):
    assert (result.metrics, result.notes) == (whole.metrics, whole.notes)
    weights = whole.network.state_dict()
    for name, weight in result.network.state_dict().items():
        assert torch.equal(weight, weights[name]), name


@pytest.mark.parametrize("batch_size", [16, 64])
def test_the_budget_is_exchanges_not_steps(batch_size, context, monkeypatch):
    monkeypatch.setattr(recovery.FineTuning, "step", counting_alone)
    arm = arm_with(batch_size=batch_size, seen_exchanges=1280)
    world = load_world(context.cache_folder, seed=0, max_steps=context.max_steps)
    tuning = recovery.Recovery(arm, dataclasses.replace(context, max_steps=None), world)
    steps = tuning.steps(tuning.begin())
    assert max(point.step for point in steps) == 1280 // batch_size


def counting_alone(tuning):
    tuning.done += 1
    return 1.0


def recovered(world, context, steps, **changes):
    arm = arm_with(batch_size=16, learning_rate=1e-2, **changes)
    whole = recovery.Recovery(arm, dataclasses.replace(context, max_steps=steps), world)
    _, stand = through(whole.steps(whole.begin()))
    return whole.report(stand).network.language_model.state_dict()


def test_a_merged_network_lies_on_the_arc_between_those_of_two_tasks(context, monkeypatch):
    world = load_world(context.cache_folder, seed=0, max_steps=2)
    one = recovered(world, context, 2)
    with monkeypatch.context() as of_the_other_task:
        of_the_other_task.setattr(letter_world, "TUNED_TASK", letter_world.MERGED_TASK)
        other = recovered(world, context, 2)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    for share in (0.25, 0.75):
        found = recovered(world, context, 4, merging="slerp", merge_share=share)
        expected = slerp_weights(one, other, share)
        assert found.keys() == expected.keys()
        for name, weight in found.items():
            assert torch.equal(weight, expected[name]), name


def test_a_limit_of_one_step_is_kept_where_two_are_merged(context):
    once = dataclasses.replace(context, max_steps=1)
    points, result = run(arm_with(batch_size=16, **MERGED), once)
    assert [point.step for point in points] == [1]
    assert result.notes["steps"] == 1


def test_both_sets_of_a_merged_network_are_counted(context):
    _, alone = run(arm_with(batch_size=16), context)
    twice = dataclasses.replace(context, max_steps=4)
    _, both = run(arm_with(batch_size=16, **MERGED), twice)
    assert both.notes["steps"] == 2 * alone.notes["steps"] == 4
    told = ("responses_accepted", "responses_wrong", "responses_unanswered")
    assert sum(alone.notes[name] for name in told) == 32
    assert sum(both.notes[name] for name in told) == 64


def test_an_unpruned_copy_recovers_all_and_forgets_nothing(cache_folder):
    world = load_world(cache_folder, seed=0, max_steps=2)
    metrics = world.metrics_of(pruned_copy(world, ()))
    assert metrics["mean_accuracy"] == world.scores.accuracy()
    assert metrics["forgetting"].mean == 0.0
    assert metrics["acceptance_rate"].mean == 1.0


def test_divergence_is_the_arms_own_fault(context, monkeypatch):
    monkeypatch.setattr(recovery.FineTuning, "step", lambda _: float("nan"))
    with pytest.raises(ArmInfeasible, match=r"loss became nan.*lower learning_rate"):
        run(arm_with(), context)


def test_what_is_missing_is_named_with_the_remedy(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(training, "find_spec", lambda name: None if name == "peft" else found(name))
    with pytest.raises(ModuleNotFoundError, match=r"needs peft; .*archfront\[llm\]") as missing:
        recipe()
    assert missing.value.name == "peft"
