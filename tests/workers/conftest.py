import contextlib
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.workers.fake_server import FakeServer
from tests.workers.running_worker import RunningWorker
from tests.workers.waiting import eventually, processes_with

STRANGER_PACKAGE = Path(__file__).parent / "stranger_package"
MARK = "ARCHFRONT_TEST_RUN"


@pytest.fixture
def stranger_package(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny search space is installed, as far as this process's children are concerned."""
    monkeypatch.setenv("PYTHONPATH", str(STRANGER_PACKAGE))
    return STRANGER_PACKAGE


@pytest.fixture
def nothing_left_running(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What the test starts must have ended with it, however far it was handed down."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    ended = eventually(lambda: not processes_with(MARK, mark), 3.0)
    left = processes_with(MARK, mark)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert ended, f"left running: {left}"


@pytest.fixture
def quick_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages run without torch, in a tenth of a second."""
    script = Path(__file__).with_name("quick_stage.py")

    def command(order_path: Path, program: Sequence[str]) -> list[str]:
        return [sys.executable, str(script), str(order_path), str(os.getpid())]

    monkeypatch.setattr("workers.engines.local.stage_command", command)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def url(server: FakeServer) -> Iterator[str]:
    with server.listening() as address:
        yield address


@pytest.fixture
def worker(url: str, tmp_path: Path, nothing_left_running: str) -> Iterator[RunningWorker]:
    with RunningWorker(url, tmp_path) as running:
        yield running
