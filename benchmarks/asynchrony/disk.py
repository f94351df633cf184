"""What the disk itself takes to sync 4 KiB, beside the run: no commit can be quicker.

A shared disk stalls at times for half a second; without this figure such a stall would look like
one of the server's.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_S = 0.1
_PAGE = b"\0" * 4096


@contextmanager
def syncs_of(folder: Path) -> Iterator[list[float]]:
    """Inside, a page is written and synced in `folder` every 0.1 s; gives the times, in ms."""
    times_ms: list[float] = []
    ended = threading.Event()
    path = folder / "sync-probe"

    def probe() -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            while not ended.wait(_PAUSE_S):
                start = time.perf_counter()
                os.pwrite(descriptor, _PAGE, 0)
                os.fdatasync(descriptor)
                times_ms.append(1000 * (time.perf_counter() - start))
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=probe, name="sync-probe")
    thread.start()
    try:
        yield times_ms
    finally:
        ended.set()
        thread.join()
