"""A child is started again when it dies, and is gone after `wait`."""

import os
import sys
import time
from pathlib import Path

import pytest

from service import child_processes
from service.child_processes import ChildProcess

NOTE = (
    "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()} {os.environ.get(\"SECRET\")}\\n')"
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_processes, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(child_processes, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(child_processes, "_STOP_WITHIN_S", 0.5)


def lines_of(file: Path, at_least: int) -> list[str]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= at_least:
            return lines
        time.sleep(0.02)
    raise AssertionError(f"{file} has not got {at_least} lines")


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_that_ends_is_started_again(tmp_path: Path) -> None:
    file = tmp_path / "starts"
    child = ChildProcess("c", [sys.executable, "-c", NOTE, str(file)], {"SECRET": "s"})
    child.start()
    lines = lines_of(file, 3)
    child.request_stop()
    child.wait()
    assert len({line.split()[0] for line in lines}) == len(lines)
    assert {line.split()[1] for line in lines} == {"s"}
    count = len(file.read_text().splitlines())
    time.sleep(0.2)
    assert len(file.read_text().splitlines()) == count


def test_one_that_lingers_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "starts"
    deaf = f"import signal, time; signal.signal(15, signal.SIG_IGN); {NOTE}; time.sleep(60)"
    child = ChildProcess("c", [sys.executable, "-c", deaf, str(file)])
    child.start()
    pid = int(lines_of(file, 1)[0].split()[0])
    assert child.pid == pid
    child.request_stop()
    child.wait()
    assert not is_there(pid)
    assert child.pid is None
