import pytest
import torch
from torch import nn

from search_spaces.compression.input_norms import input_norms
from search_spaces.compression.prunable import reduced_weights


def norms_of(network, *batches):
    return input_norms(network, reduced_weights(network), batches)


def test_of_a_linear_layer_over_all_places_and_batches():
    one, other = torch.randn(2, 3, 4), torch.randn(1, 3, 4)
    found = norms_of(nn.Linear(4, 2), one, other)["weight"]
    rows = torch.cat([one.flatten(0, 1), other.flatten(0, 1)])
    assert torch.allclose(found, rows.norm(dim=0))


def test_of_a_convolution_over_all_pixels():
    images = torch.randn(3, 4, 5, 5)
    found = norms_of(nn.Conv2d(4, 2, 3), images)["weight"]
    assert torch.allclose(found, images.movedim(1, -1).flatten(0, 2).norm(dim=0))


def test_of_an_lstm_its_inputs_and_its_own_states():
    lstm, x = nn.LSTM(4, 3, batch_first=True), torch.randn(2, 5, 4)
    found = norms_of(lstm, x)
    assert torch.allclose(found["weight_ih_l0"], x.flatten(0, 1).norm(dim=0))
    with torch.no_grad():
        assert torch.allclose(found["weight_hh_l0"], lstm(x)[0].flatten(0, 1).norm(dim=0))


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (nn.Conv2d(4, 4, 1, groups=2), "without groups"),
        (nn.LSTM(4, 4, num_layers=2), "one layer and direction"),
        (nn.LSTM(4, 4, bidirectional=True), "one layer and direction"),
    ],
)
def test_refuses_where_the_inputs_are_not_seen(network, told):
    with pytest.raises(ValueError, match=told):
        norms_of(network, torch.randn(1, 4, 4, 4))
    assert not network._forward_hooks
