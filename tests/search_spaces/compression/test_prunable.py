import torch
from torch import nn

from search_spaces.compression.prunable import prunable_weights, reduced_weights


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.stem = nn.Conv2d(1, 8, 3)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.grouped = nn.Conv2d(8, 8, 1, groups=2)
        self.narrow = nn.Conv1d(6, 8, 3)
        self.norm = nn.LayerNorm(8)
        self.lstm = nn.LSTM(8, 4)
        self.tied = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8)
        self.again.weight = self.tied.weight
        self.head = nn.Linear(8, 3)


def names(weights):
    return [weight.name for weight in weights]


def test_what_is_reduced_over_in_the_order_of_the_network():
    assert names(reduced_weights(Mixed())) == [
        "stem.weight",
        "depthwise.weight",
        "grouped.weight",
        "narrow.weight",
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "tied.weight",
        "head.weight",
    ]


def test_first_and_last_and_what_the_pattern_does_not_tile_stay_dense():
    network = Mixed()
    two_of_four = ["grouped.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "tied.weight"]
    assert names(prunable_weights(network, "two_of_four")) == two_of_four
    assert names(prunable_weights(network, "two_of_four", dense_first_last=False)) == [
        *two_of_four,
        "head.weight",
    ]
    # eight outputs of the grouped convolution see two different inputs
    assert names(prunable_weights(network, "block_8x1")) == [
        "narrow.weight",
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "tied.weight",
    ]
    assert names(prunable_weights(network, "block_16x1", spared={"lstm.weight_hh_l0"})) == [
        "lstm.weight_ih_l0"
    ]


def test_a_network_that_is_one_layer_and_one_without_any():
    assert names(reduced_weights(nn.Linear(4, 4))) == ["weight"]
    assert prunable_weights(nn.ReLU(), "two_of_four") == []
    assert isinstance(reduced_weights(nn.Linear(4, 4))[0].weight, torch.nn.Parameter)
