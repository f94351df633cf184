import dataclasses

import pytest
import torch

from search_spaces.compression.two_four_sparsity import training
from search_spaces.compression.two_four_sparsity.sparsity import Sparsity
from search_spaces.compression.two_four_sparsity.task import load_task
from search_spaces.compression.two_four_sparsity.training import planned_steps, recipe
from search_spaces.compression.two_of_four import NotTwoOfFour
from search_spaces.recipe import ArmInfeasible
from tests.search_spaces.compression.two_four_sparsity.arms import KINDS, arm_with
from tests.search_spaces.kept_states import KeptStates


def run(arm, context):
    points, steps = [], recipe().train(arm, context)
    while True:
        try:
            points.append(next(steps))
        except StopIteration as end:
            return points, end.value


def zero_share(weight):
    return float((weight == 0).float().mean())


@pytest.mark.parametrize(
    ("kind", "steps", "guessing"), [("convolution", 120, 0.9), ("lstm", 120, 0.86)]
)
def test_learns_dense_loses_by_the_mask_and_wins_back(kind, steps, guessing, context):
    arm = arm_with(network=kind, width=16, layers=1, mask_criterion="random", learning_rate=1e-2)
    points, result = run(arm, dataclasses.replace(context, max_steps=steps))
    assert points[-1].metrics["train_loss"] < points[0].metrics["train_loss"]
    dense, masked, error = (
        result.metrics[name].mean for name in ("dense_error", "zero_shot_error", "error")
    )
    assert dense < 0.9 * guessing
    assert masked > dense
    assert error < masked
    assert result.metrics["kept_magnitude"].mean == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("max_steps", [1, 2, 9])
@pytest.mark.parametrize(
    ("pattern", "schedule"),
    [("two_of_four", None), ("unstructured", "cubic"), ("block_16x1", "one_shot")],
)
def test_the_deployed_network_is_as_sparse_as_the_arm_says(pattern, schedule, max_steps, context):
    level = {} if schedule is None else {"sparsity": 0.75, "sparsity_schedule": schedule}
    arm = arm_with(pattern=pattern, layers=1, width=16, **level)
    _, result = run(arm, dataclasses.replace(context, max_steps=max_steps))
    share = 0.5 if schedule is None else 0.75
    block = result.network.blocks[0]
    for weight in (block.first.weight, block.second.weight):
        assert zero_share(weight) == pytest.approx(share, abs=1e-3)
    assert zero_share(result.network.head.weight) == 0
    assert result.notes["sparse_weights"] == 2 * 16 * 16 * 9
    # 16 bits a value; one bit for each weight, or for each block
    places = 4608 // (8 * (16 if pattern == "block_16x1" else 1))
    dense = sum(weight.numel() for weight in result.network.parameters()) - 4608
    assert result.metrics["packed_bytes"].mean == 2 * (dense + (1 - share) * 4608) + places


def test_retraining_zero_shot_and_dense_begin_from_one_and_the_same_network(context):
    context = dataclasses.replace(context, max_steps=None)
    plain = {"network": "transformer", "width": 16, "layers": 1}
    found = []
    for changes in ({}, {"permute": True}, {"mask_criterion": "wanda"}, {"pattern": "none"}):
        arm = arm_with(**plain, retrain_share=0.0, **changes)
        _, result = run(arm, dataclasses.replace(context, max_steps=20))
        found.append(result.metrics)
    assert len({metrics["dense_error"].mean for metrics in found}) == 1
    magnitude, permuted, wanda, none = found
    assert permuted["kept_magnitude"].mean > magnitude["kept_magnitude"].mean
    assert magnitude["kept_magnitude"].mean > wanda["kept_magnitude"].mean
    assert none["kept_magnitude"].mean == 1.0
    assert none["error"] == none["zero_shot_error"] == none["dense_error"]
    assert magnitude["error"] == magnitude["zero_shot_error"]
    assert magnitude["packed_bytes"].mean < none["packed_bytes"].mean


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_of_every_criterion_is_two_of_four_and_what_is_spared_stays_dense(kind, context):
    for criterion in ("magnitude", "wanda", "random"):
        arm = arm_with(
            network=kind, layers=1, width=16, mask_criterion=criterion, sparse_scope="feed_forward"
        )
        _, result = run(arm, context)
        inputs = load_task(kind, context.cache_folder).training.take(torch.arange(2)).inputs
        Sparsity(result.network, arm, [inputs], 0).check()
        for name in result.network.mixing_weights():
            assert zero_share(result.network.get_parameter(name)) == 0


@pytest.mark.parametrize("changes", [{"permute": True}, {"sparsity_schedule": "cubic"}])
def test_it_goes_on_from_any_step_to_the_same_weights(changes, context, tmp_path):
    """In the dense training, at its end, while masks rise, and under fixed ones."""
    pattern = "two_of_four" if "permute" in changes else "block_8x1"
    arm = arm_with(
        width=16, layers=1, pattern=pattern, sparsity=0.5, mask_criterion="wanda", **changes
    )
    context = dataclasses.replace(context, max_steps=10)
    kept = KeptStates(tmp_path)
    points, whole = run(arm, dataclasses.replace(context, checkpoints=kept))
    assert kept.steps == list(range(1, 11))
    for step in (3, 5, 7, 9):
        gone_on = KeptStates(tmp_path, go_on_after=step)
        later, result = run(arm, dataclasses.replace(context, checkpoints=gone_on))
        assert later == [point for point in points if point.step > step]
        assert (result.metrics, result.notes) == (whole.metrics, whole.notes)
        weights = whole.network.state_dict()
        for name, weight in result.network.state_dict().items():
            assert torch.equal(weight, weights[name]), (step, name)


@pytest.mark.parametrize(("share", "limit", "planned"), [
    (1.0, None, (100, 100)),
    (0.25, None, (100, 25)),
    (0.0, 10, (10, 0)),
    (1.0, 10, (5, 5)),
    (1.0, 1, (1, 0)),
])  # fmt: skip
def test_a_limit_cuts_both_trainings(share, limit, planned):
    assert planned_steps(arm_with(retrain_share=share), 6400, limit) == planned


def test_divergence_is_the_arms_own_fault(context, monkeypatch):
    monkeypatch.setattr(training.Phase, "step", lambda *_: float("nan"))
    with pytest.raises(ArmInfeasible, match=r"loss became nan at step 1.*lower learning_rate"):
        run(arm_with(width=16, layers=1), context)


def test_a_network_that_is_not_two_of_four_is_not_handed_out(context, monkeypatch):
    monkeypatch.setattr(training.Phase, "step", _filling)
    with pytest.raises(NotTwoOfFour, match=r"blocks\.0\.first\.weight is not 2:4"):
        run(arm_with(width=16, layers=1), context)


def _filling(phase, number, examples):
    with torch.no_grad():
        phase.network.blocks[0].first.weight.fill_(1.0)
    return 1.0
