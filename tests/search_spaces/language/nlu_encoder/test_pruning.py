import pytest
import torch

from search_spaces.language.nlu_encoder.network import CommandEncoder, EncoderShape
from search_spaces.language.nlu_encoder.pruning import WeightMasks, prunes, shrink
from tests.search_spaces.language.nlu_encoder.arms import arm_with

STRUCTURED = {
    "ffn_pruning": "neurons",
    "ffn_sparsity": 0.5,
    "attention_pruning": "heads",
    "attention_sparsity": 0.5,
}


@pytest.fixture
def calibration():
    return torch.randint(1, 1024, (8, 6, 10), generator=torch.Generator().manual_seed(1))


def parent_of(arm):
    torch.manual_seed(0)
    return CommandEncoder(EncoderShape.of_parent(arm)).eval()


def same_answers(one, other, ngrams):
    with torch.no_grad():
        return all(
            torch.allclose(a, b, atol=1e-5) for a, b in zip(one(ngrams), other(ngrams), strict=True)
        )


def test_removing_what_does_nothing_changes_no_answer(calibration):
    """Layers, heads and neurons without effect are the ones found, and the rest is copied right."""
    arm = arm_with(dropped_layers=1, drop_criterion="angular", **STRUCTURED)
    parent = parent_of(arm)
    with torch.no_grad():
        for layer in parent.layers:
            layer.ffn_out.weight.mul_(20)
            layer.attention.output.weight.mul_(20)
            layer.ffn_out.weight[:, 1::2] = 0  # every other neuron is mute
            layer.attention.output.weight[:, :64] = 0  # so are the first two heads of four
        idle = parent.layers[1]
        for weight in (*idle.ffn_out.parameters(), *idle.attention.output.parameters()):
            weight.zero_()
    deployed, dropped = shrink(parent, arm, calibration)
    deployed.eval()
    assert dropped == [1]
    assert deployed.layers[0].ffn_in.out_features == 128
    assert same_answers(deployed, parent, calibration)


def test_dropping_a_layer_that_works_changes_the_answers(calibration):
    arm = arm_with(dropped_layers=1, drop_criterion="last")
    parent = parent_of(arm)
    deployed, dropped = shrink(parent, arm, calibration)
    assert dropped == [2]
    assert not same_answers(deployed.eval(), parent, calibration)


def test_without_structural_pruning_the_copy_is_exact(calibration):
    arm = arm_with(ffn_pruning="unstructured", ffn_sparsity=0.5)
    parent = parent_of(arm)
    deployed, dropped = shrink(parent, arm, calibration)
    assert dropped == []
    for name, weight in parent.state_dict().items():
        assert torch.equal(deployed.state_dict()[name], weight), name


def test_masks_reach_the_asked_sparsity_of_each_group():
    arm = arm_with(
        ffn_pruning="unstructured",
        ffn_sparsity=0.8,
        attention_pruning="two_of_four",
        embedding_sparsity=0.9,
    )
    network = parent_of(arm)
    masks = WeightMasks(network, arm)
    masks.remake(0.5)
    masks.apply()
    ffn = network.layers[0].ffn_in.weight
    assert (ffn == 0).float().mean() == pytest.approx(0.4, abs=1e-3)
    masks.remake(1.0)
    masks.apply()
    assert (ffn == 0).float().mean() == pytest.approx(0.8, abs=1e-3)
    assert (network.embedding.weight == 0).float().mean() == pytest.approx(0.9, abs=1e-3)
    query = network.layers[0].attention.query.weight.view(-1, 4)
    assert ((query != 0).sum(dim=1) == 2).all()


def test_an_arm_without_pruning_has_no_masks():
    arm = arm_with()
    assert not prunes(arm)
    assert not WeightMasks(parent_of(arm), arm)
    assert prunes(arm_with(embedding_sparsity=0.5))
    assert prunes(arm_with(dropped_layers=1, drop_criterion="last"))
    assert prunes(arm_with(ffn_pruning="two_of_four"))
