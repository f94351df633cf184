import copy

import pytest
import torch
from torch import nn

from search_spaces.compression.masked_training import MaskedTraining
from search_spaces.compression.masks import two_of_four_mask

OPTIMIZERS = {
    "momentum": lambda weights: torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=0.01),
    "adamw": lambda weights: torch.optim.AdamW(weights, 0.1, fused=True),
    "amsgrad": lambda weights: torch.optim.Adam(weights, 0.1, amsgrad=True),
    "rmsprop": lambda weights: torch.optim.RMSprop(weights, 0.1, momentum=0.9),
}


def training(name):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
    optimizer = OPTIMIZERS[name](network.parameters())
    return network, optimizer, MaskedTraining(network, optimizer)


def step(network, optimizer, masked):
    optimizer.zero_grad()
    network(torch.randn(16, 8)).square().sum().backward()
    masked.mask_gradients()
    optimizer.step()
    masked.hold()


def remembered(optimizer, weight):
    return [kept for kept in optimizer.state[weight].values() if kept.shape == weight.shape]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_was_dropped_stays_zero_in_weights_and_memory(name):
    network, optimizer, masked = training(name)
    for _ in range(3):  # the optimizer comes to remember all weights
        step(network, optimizer, masked)
    weight = network[0].weight
    mask = two_of_four_mask(weight)
    assert all(bool(kept[~mask].any()) for kept in remembered(optimizer, weight))
    masked.fix({"0.weight": mask})
    for _ in range(4):
        assert not weight[~mask].any()
        assert remembered(optimizer, weight)
        assert not any(bool(kept[~mask].any()) for kept in remembered(optimizer, weight))
        before = weight.detach().clone()
        step(network, optimizer, masked)
        assert (weight != before)[mask].all()
    assert not weight.grad[~mask].any()
    assert network[2].weight.all()


def test_a_weight_that_is_let_back_in_starts_from_nothing():
    network, optimizer, masked = training("adamw")
    masked.fix({"0.weight": torch.zeros(8, 8, dtype=torch.bool)})
    step(network, optimizer, masked)
    masked.fix({})
    assert not masked
    assert not optimizer.state[network[0].weight]["exp_avg"].any()
    step(network, optimizer, masked)
    assert network[0].weight.all()


def test_it_goes_on_from_its_state_alike():
    network, optimizer, masked = training("adamw")
    masked.fix({"0.weight": two_of_four_mask(network[0].weight)})
    step(network, optimizer, masked)
    other, its_optimizer, its_masked = training("adamw")
    other.load_state_dict(network.state_dict())
    its_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    its_masked.restore(masked.state())
    for one in ((network, optimizer, masked), (other, its_optimizer, its_masked)):
        torch.manual_seed(1)
        step(*one)
    assert torch.equal(network[0].weight, other[0].weight)
    assert int((other[0].weight == 0).sum()) == 32


def test_refuses_masks_that_are_none():
    _, _, masked = training("adamw")
    with pytest.raises(ValueError, match=r"'1\.weight', which is no parameter"):
        masked.fix({"1.weight": torch.ones(1, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"mask of 0\.weight is \(8, 4\), its weight \(8, 8\)"):
        masked.fix({"0.weight": torch.ones(8, 4, dtype=torch.bool)})
