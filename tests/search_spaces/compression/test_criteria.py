import pytest
import torch

from search_spaces.compression.criteria import magnitude_scores, random_scores, wanda_scores


def test_wanda_weighs_each_weight_with_its_input():
    matrix = torch.tensor([[1.0, -2.0, 3.0, -4.0]])  # two channels at two positions
    norms = torch.tensor([10.0, 1.0])
    assert wanda_scores(matrix, norms).tolist() == [[10.0, 2.0, 30.0, 4.0]]
    assert torch.equal(wanda_scores(matrix, torch.ones(2)), magnitude_scores(matrix))


def test_wanda_refuses_channels_that_are_not_the_matrixs():
    with pytest.raises(ValueError, match="3 channels do not make up a reduction of 4"):
        wanda_scores(torch.ones(1, 4), torch.ones(3))


def test_random_scores_are_those_of_the_generator():
    one, other = (
        random_scores(torch.zeros(3, 4), torch.Generator().manual_seed(seed)) for seed in (1, 1)
    )
    assert torch.equal(one, other)
    assert ((one >= 0) & (one < 1)).all()
