import pytest
import torch
from torch import nn

from search_spaces.compression.channel_groups import permute_for_two_of_four
from search_spaces.compression.prunable import prunable_weights
from search_spaces.compression.two_four_sparsity.network import build_network
from tests.search_spaces.compression.two_four_sparsity.arms import KINDS, arm_with


def network_and_inputs(kind):
    torch.manual_seed(0)
    network = build_network(arm_with(network=kind)).double()
    if kind != "convolution":
        ngrams = torch.randint(1, 2048, (4, 7, 10))
        ngrams[1, 5:] = 0
        return network.eval(), ngrams
    for module in network.modules():  # norms that differ from channel to channel
        if isinstance(module, nn.BatchNorm2d):
            for weight in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(weight, 0.5, 1.5)
    return network.eval(), torch.rand(4, 1, 8, 8, dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_reordered_channels_change_no_answer(kind):
    network, inputs = network_and_inputs(kind)
    before = network(inputs)
    weights = prunable_weights(network, "two_of_four", dense_first_last=False)
    was = [one.weight.detach().clone() for one in weights]
    gained = permute_for_two_of_four(
        network,
        network.channel_groups(),
        {one.name for one in weights},
        torch.Generator().manual_seed(0),
    )
    assert gained > 0
    assert torch.allclose(network(inputs), before, atol=1e-10, rtol=0)
    stayed = [
        one.name
        for one, before in zip(weights, was, strict=True)
        if torch.equal(one.weight, before)
    ]
    # what the head reads is reordered with the rest; nothing that is sparse is forgotten
    assert stayed == []


@torch.no_grad()
@pytest.mark.parametrize("kind", ["transformer", "lstm"])
def test_padding_changes_no_score(kind):
    network, ngrams = network_and_inputs(kind)
    padded = torch.cat([ngrams, torch.zeros(4, 5, 10, dtype=torch.int64)], dim=1)
    assert torch.allclose(network(padded), network(ngrams), atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_mixing_weights_are_weights(kind):
    network, _ = network_and_inputs(kind)
    names = {one.name for one in prunable_weights(network, "two_of_four")}
    mixing = network.mixing_weights()
    assert mixing <= names
    assert (len(mixing) > 0) == (kind != "convolution")
    assert names - mixing
