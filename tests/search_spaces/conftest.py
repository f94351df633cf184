"""One cache of prepared data for all tests of search spaces, on one thread."""

import pytest
import torch
from hypothesis import HealthCheck, settings

from search_spaces.recipe import TrainingContext

# a busy machine is no reason to fail
settings.register_profile(
    "search_spaces", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("search_spaces")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data_cache")


@pytest.fixture
def context(cache_folder, tmp_path):
    """Two optimizer steps with seed 0."""
    return TrainingContext(seed=0, cache_folder=cache_folder, work_folder=tmp_path, max_steps=2)
