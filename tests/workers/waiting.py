"""Waits for what happens in other threads and processes."""

import time
from collections.abc import Callable

import psutil


def eventually(condition: Callable[[], object], limit_s: float = 20.0) -> bool:
    """Whether the condition came true within the limit."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def is_alive(pid: int) -> bool:
    """Whether the process still runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes_with(variable: str, value: str) -> list[psutil.Process]:
    """All processes that carry this environment variable, orphans too."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value and is_alive(process.pid):
                found.append(process)
        except psutil.Error:
            continue
    return found
