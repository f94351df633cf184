"""Sets every source of randomness that a recipe may draw from."""

import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and torch (all devices), so that a run can be repeated."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # the legacy generator is what libraries draw from
    torch.manual_seed(seed)
