from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.local_service import LONG_TTL_S, SHORT_TTL_S, LocalService
from tests.workers.conftest import nothing_left_running

__all__ = ["nothing_left_running"]


@pytest.fixture
def service(tmp_path: Path, nothing_left_running: str) -> Iterator[LocalService]:
    """A server that runs, in a folder of its own; nothing of it outlives the test."""
    yield from _running(LocalService(tmp_path, LONG_TTL_S))


@pytest.fixture
def short_leased_service(tmp_path: Path, nothing_left_running: str) -> Iterator[LocalService]:
    """One whose leases live for seconds only."""
    yield from _running(LocalService(tmp_path, SHORT_TTL_S))


def _running(service: LocalService) -> Iterator[LocalService]:
    try:
        service.start_server()
        yield service
    finally:
        service.stop()
