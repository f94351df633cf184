import pytest
import torch
from torch import nn

from search_spaces.compression.masks import two_of_four_mask
from search_spaces.compression.semi_structured import (
    NoSparseTensorCores,
    has_sparse_tensor_cores,
    pack_linear_layers,
    packs,
)
from search_spaces.compression.two_of_four import NotTwoOfFour

needs_cores = pytest.mark.skipif(
    not has_sparse_tensor_cores(), reason="no NVIDIA GPU of compute capability 8.0 or later"
)


def test_what_the_format_takes():
    assert packs(torch.empty(32, 64, dtype=torch.float16))
    assert packs(torch.empty(64, 128, dtype=torch.int8))
    assert not packs(torch.empty(32, 64))
    assert not packs(torch.empty(16, 64, dtype=torch.bfloat16))
    assert not packs(torch.empty(32, 64, 3, dtype=torch.float16))


@pytest.mark.skipif(has_sparse_tensor_cores(), reason="there are sparse tensor cores")
def test_without_the_cores_it_says_so():
    with pytest.raises(NoSparseTensorCores, match=r"compute capability 8\.0"):
        pack_linear_layers(nn.Linear(64, 32), {"weight"})


@needs_cores
def test_the_packed_layer_answers_as_the_masked_one():
    network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16)).half().cuda()
    weight = network[0].weight.data
    with pytest.raises(NotTwoOfFour):
        pack_linear_layers(network, {"0.weight"})
    weight.mul_(two_of_four_mask(weight))
    x = torch.randn(32, 64, dtype=torch.float16, device="cuda")
    with torch.no_grad():
        dense = network(x)
        assert pack_linear_layers(network, {"0.weight", "2.weight"}) == ["0.weight"]
        assert torch.allclose(network(x), dense, rtol=1e-2, atol=1e-2)
