"""Whatever a test draws from torch's random state follows from nothing but the test."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _random_state_of_its_own():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
