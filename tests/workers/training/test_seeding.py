import random

import numpy as np
import pytest
import torch

from workers.training.seeding import seed_everything


@pytest.fixture(autouse=True)
def keep_the_states():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def draw(seed):
    seed_everything(seed)
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_equal_seeds_draw_equal_numbers_and_others_do_not():
    assert draw(3) == draw(3)
    assert all(one != other for one, other in zip(draw(3), draw(4), strict=True))


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**32 + 5])
def test_any_seed_of_an_experiment_is_taken(seed):
    assert draw(seed) == draw(seed)
