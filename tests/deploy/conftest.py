import pytest

from tests.deploy.fleet import Fleet
from tests.e2e.conftest import service, short_leased_service
from tests.workers.conftest import nothing_left_running

__all__ = ["nothing_left_running", "service", "short_leased_service"]


@pytest.fixture
def empty_postgresql_url(fresh_databases):
    """A database without any table, as at the first start."""
    return fresh_databases.empty_postgresql_url()


@pytest.fixture
def fleet(empty_postgresql_url, nothing_left_running, tmp_path):
    """In this order: the PostgreSQL server outlives the test that is the first to need it."""
    running = Fleet(tmp_path, empty_postgresql_url)
    yield running
    running.stop()
