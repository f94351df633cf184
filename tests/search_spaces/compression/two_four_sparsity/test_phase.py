import pytest
import torch
from torch import nn

from search_spaces.compression.masks import two_of_four_mask
from search_spaces.compression.two_four_sparsity.phase import Phase, rate_factor
from search_spaces.compression.two_four_sparsity.task import Examples


def test_the_rate_rises_then_falls_to_nearly_nothing():
    factors = [rate_factor(number, 100) for number in range(100)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert max(factors) == 1.0
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert 0 < factors[-1] < 1e-3
    assert rate_factor(0, 1) == 1.0


def test_a_step_learns_under_the_mask():
    torch.manual_seed(0)
    phase = Phase(nn.Linear(8, 3), 20, 0.05)
    mask = two_of_four_mask(phase.network.weight)
    phase.masked.fix({"weight": mask})
    inputs = torch.randn(32, 8)
    examples = Examples(inputs, inputs[:, :3].argmax(dim=1))
    losses = [phase.step(number, examples) for number in range(20)]
    assert losses[-1] < 0.8 * losses[0]
    assert torch.equal(phase.network.weight != 0, mask)
