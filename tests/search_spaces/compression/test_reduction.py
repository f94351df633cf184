import pytest
import torch
from torch import nn
from torch.nn.functional import unfold

from search_spaces.compression.reduction import from_reduction_matrix, reduction_matrix


@pytest.mark.parametrize("shape", [(6, 8), (3, 4, 5), (2, 4, 3, 5)])
def test_there_and_back(shape):
    weight = torch.randn(shape)
    matrix = reduction_matrix(weight)
    assert matrix.shape == (shape[0], weight[0].numel())
    assert torch.equal(from_reduction_matrix(matrix, weight.shape), weight)


def test_four_columns_are_four_channels_of_one_kernel_position():
    weight = torch.arange(2 * 8 * 9).view(2, 8, 3, 3)
    assert reduction_matrix(weight)[1, :4].tolist() == weight[1, :4, 0, 0].tolist()
    assert reduction_matrix(weight)[1, 8:12].tolist() == weight[1, :4, 0, 1].tolist()


def test_a_convolution_is_the_product_with_its_channels_last():
    convolution = nn.Conv2d(4, 6, 3, bias=False).double()
    image = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    patches = unfold(image, 3).view(4, 9, 9).transpose(0, 1).reshape(36, 9)
    product = reduction_matrix(convolution.weight) @ patches
    assert torch.allclose(product.view(6, 3, 3), convolution(image)[0])


def test_refuses_a_vector():
    with pytest.raises(ValueError, match=r"shape \(3,\) is no matrix"):
        reduction_matrix(torch.ones(3))
