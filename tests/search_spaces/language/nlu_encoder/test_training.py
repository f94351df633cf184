import dataclasses

import pytest
import torch

from search_spaces.language.nlu_encoder import training
from search_spaces.language.nlu_encoder.commands import load_commands
from search_spaces.language.nlu_encoder.training import SEEN_COMMANDS, recipe
from search_spaces.recipe import ArmInfeasible
from tests.search_spaces.kept_states import KeptStates
from tests.search_spaces.language.nlu_encoder.arms import arm_with

SMALL = {"width": 64, "layers": 1, "embedding_dim": 32, "head_dim": 16, "learning_rate": 6e-3}
SPARSE = {
    "ffn_pruning": "unstructured",
    "ffn_sparsity": 0.9,
    "attention_pruning": "two_of_four",
    "embedding_sparsity": 0.75,
}


def run(arm, context):
    points, steps = [], recipe().train(arm, context)
    while True:
        try:
            points.append(next(steps))
        except StopIteration as end:
            return points, end.value


def zero_share(weight):
    return float((weight == 0).float().mean())


def test_learns_what_no_guess_knows(context):
    """300 steps of a small encoder on unseen templates, against always guessing one intent."""
    points, result = run(arm_with(**SMALL), dataclasses.replace(context, max_steps=300))
    assert points[-1].metrics["train_loss"] < 0.5 * points[0].metrics["train_loss"]
    assert any("validation_frame_error" in point.metrics for point in points)
    assert result.metrics["intent_error"].mean < 0.5  # one intent for all: 0.86
    assert result.metrics["slot_error"].mean < 0.9
    assert result.metrics["frame_error"].mean < 0.95
    assert result.metrics["frame_error"].mean >= result.metrics["intent_error"].mean


def test_an_untrained_network_knows_nothing(context):
    _, result = run(arm_with(**SMALL), dataclasses.replace(context, max_steps=1))
    assert result.metrics["intent_error"].mean > 0.7
    assert result.metrics["frame_error"].mean > 0.95


@pytest.mark.parametrize("schedule", ["one_shot", "cubic"])
@pytest.mark.parametrize("max_steps", [1, 2, 9, 60])
def test_the_deployed_network_is_as_sparse_as_the_arm_says(schedule, max_steps, context):
    arm = arm_with(**SMALL, **SPARSE, sparsity_schedule=schedule)
    _, result = run(arm, dataclasses.replace(context, max_steps=max_steps))
    layer = result.network.layers[0]
    assert zero_share(layer.ffn_in.weight) == pytest.approx(0.9, abs=2e-3)
    assert zero_share(layer.attention.key.weight) == pytest.approx(0.5, abs=1e-6)
    assert zero_share(result.network.embedding.weight) == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize("schedule", ["one_shot", "cubic"])
def test_it_goes_on_from_any_step_to_the_same_weights(schedule, context, tmp_path):
    """In the parent's training, at its end, while the masks rise, and under fixed masks."""
    thinned = SPARSE | {"attention_pruning": "heads", "attention_sparsity": 0.5}
    deep = {"layers": 3, "dropped_layers": 1, "drop_criterion": "angular", "dropout": 0.2}
    arm = arm_with(
        **SMALL | thinned | deep, recovery_share=0.5, batch_size=64, sparsity_schedule=schedule
    )
    context = dataclasses.replace(context, max_steps=16)
    kept = KeptStates(tmp_path)
    points, whole = run(arm, dataclasses.replace(context, checkpoints=kept))
    assert kept.steps == list(range(1, 17))
    assert whole.notes["recovery_steps"] == 8
    for step in (5, 8, 10, 15):
        torch.rand(step)
        gone_on = KeptStates(tmp_path, go_on_after=step)
        later, result = run(arm, dataclasses.replace(context, checkpoints=gone_on))
        assert later == [point for point in points if point.step > step]
        assert gone_on.steps == list(range(step + 1, 17))
        assert (result.metrics, result.notes) == (whole.metrics, whole.notes)
        weights = whole.network.state_dict()
        for name, weight in result.network.state_dict().items():
            assert torch.equal(weight, weights[name]), (step, name)


def test_other_seeds_train_other_networks_on_the_same_data(context):
    arm = arm_with(**SMALL)
    _, one = run(arm, context)
    _, other = run(arm, dataclasses.replace(context, seed=1))
    assert not torch.equal(one.network.slot_head.weight, other.network.slot_head.weight)
    assert one.metrics["frame_error"].n == other.metrics["frame_error"].n


def test_the_budget_is_commands_not_steps(context, monkeypatch):
    monkeypatch.setattr(training, "SEEN_COMMANDS", 128)
    context = dataclasses.replace(context, max_steps=None)
    for batch_size in (16, 32, 64):
        points, result = run(arm_with(**SMALL, batch_size=batch_size), context)
        assert points[-1].step == result.notes["steps"] == 128 // batch_size
    assert SEEN_COMMANDS > 128


def test_divergence_is_the_arms_own_fault(context, monkeypatch):
    step = training.Phase.step
    monkeypatch.setattr(
        training.Phase,
        "step",
        lambda phase, number, batch: float("nan") if number == 1 else step(phase, number, batch),
    )
    with pytest.raises(ArmInfeasible, match=r"loss became nan at step 2.*lower learning_rate"):
        run(arm_with(**SMALL), dataclasses.replace(context, max_steps=5))


def test_weights_that_overflow_in_the_last_step_are_noticed(context, monkeypatch):
    step = training.Phase.step

    def overflowing(phase, number, batch):
        loss = step(phase, number, batch)
        with torch.no_grad():
            phase.network.slot_head.weight[0, 0] = float("inf")
        return loss

    monkeypatch.setattr(training.Phase, "step", overflowing)
    with pytest.raises(ArmInfeasible, match="a weight is not finite"):
        run(arm_with(**SMALL), dataclasses.replace(context, max_steps=1))


def test_another_grammar_is_refused_with_the_remedy(cache_folder, monkeypatch):
    data = load_commands(cache_folder)
    fewer = dataclasses.replace(data, intents=data.intents[1:])
    monkeypatch.setattr(training, "load_commands", lambda _: fewer)
    training._data.cache_clear()
    with pytest.raises(RuntimeError, match=r"41 intents.*install the version"):
        training._data(cache_folder)
    training._data.cache_clear()


def test_example_inputs_are_test_commands(context):
    arm = arm_with(embedding_buckets=1024)
    inputs = recipe().example_inputs(arm, 5, context)
    data = load_commands(context.cache_folder)
    known = {
        tuple((hashes != 0).sum(axis=1).tolist()) for hashes in data.word_hashes[data.test.words]
    }
    for (ngrams,) in inputs:
        assert ngrams.shape == (1, 16, 10)
        assert ngrams.dtype == torch.int64
        assert int(ngrams.min()) >= 0
        assert int(ngrams.max()) < 1024
        assert tuple((ngrams[0] != 0).sum(dim=1).tolist()) in known
