import torch
from torch import nn

from search_spaces.compression.masks import two_of_four_mask
from search_spaces.compression.storage import network_bytes, packed_bytes
from search_spaces.compression.two_of_four import pack


def test_two_of_four_is_what_packing_gives():
    weight = torch.randn(16, 32)
    packed = pack((weight * two_of_four_mask(weight)).half())
    assert packed_bytes(16 * 32, 16 * 32 // 2, "two_of_four") == packed.size_bytes


def test_blocks_have_one_bit_each_and_nothing_grows():
    assert packed_bytes(1600, 160, "unstructured") == 320 + 200
    assert packed_bytes(1600, 160, "block_16x1") == 320 + 13
    assert packed_bytes(1600, 160, "block_8x1", value_bytes=4) == 640 + 25
    assert packed_bytes(1600, 1600, "unstructured") == 3200


def test_a_network_is_its_masked_weights_packed_and_the_rest_dense():
    network = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2))
    assert network_bytes(network, {}, "two_of_four") == 2 * (32 + 4 + 8 + 2)
    masks = {"0.weight": two_of_four_mask(network[0].weight)}
    assert network_bytes(network, masks, "two_of_four") == 2 * (16 + 4 + 8 + 2) + 4
