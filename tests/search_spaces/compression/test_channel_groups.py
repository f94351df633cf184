import torch
from torch import nn

from search_spaces.compression.channel_groups import (
    ChannelAxis,
    ChannelGroup,
    permute_channels,
    permute_for_two_of_four,
    reading_scores,
)
from search_spaces.compression.permutation import kept_magnitude

GROUP = ChannelGroup(
    readers=("2.weight",),
    makers=(ChannelAxis("0.weight"), ChannelAxis("0.bias")),
)


def two_layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8)).double()


def test_the_function_stays_and_the_order_does_not():
    network, x = two_layers(), torch.randn(5, 4, dtype=torch.float64)
    before, weight = network(x), network[2].weight.detach().clone()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    permute_channels(network, GROUP, order)
    assert torch.allclose(network(x), before, atol=1e-12)
    assert torch.equal(network[2].weight, weight[:, order])


def test_chunks_are_permuted_alike():
    lstm = nn.LSTM(3, 4)
    lstm.weight_ih_l0.data = torch.arange(4.0).repeat(4).unsqueeze(1).expand(16, 3).clone()
    group = ChannelGroup((), (ChannelAxis("weight_ih_l0", chunks=4),))
    permute_channels(lstm, group, torch.tensor([3, 1, 0, 2]))
    assert lstm.weight_ih_l0[:, 0].tolist() == [3.0, 1.0, 0.0, 2.0] * 4


def test_only_groups_that_a_sparse_weight_reads_are_reordered():
    network = two_layers()
    before = network[2].weight.detach().clone()
    generator = torch.Generator().manual_seed(0)
    assert permute_for_two_of_four(network, [GROUP], {"0.weight"}, generator) == 0.0
    assert torch.equal(network[2].weight, before)
    kept = kept_magnitude(reading_scores(network, GROUP, {"2.weight"}))
    gained = permute_for_two_of_four(network, [GROUP], {"2.weight"}, generator)
    assert gained > 0
    after = kept_magnitude(reading_scores(network, GROUP, {"2.weight"}))
    assert abs(after - kept - gained) < 1e-9
