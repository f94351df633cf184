"""Ends a measuring program that nobody listens to any more.

When a worker dies or drops a stage, its connection ends, but what runs on the device would go on,
beside the next measurement.
"""

import os
import select
import shutil
import signal
import sys
import threading
from pathlib import Path


def end_unheard(folder: Path) -> None:
    """From now on: once nobody reads this process's output, `folder` goes, and its process group.

    Costs nothing meanwhile: a thread waits in the kernel. Where the output is no pipe, nobody
    can stop listening.
    """
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLERR | select.POLLHUP)

    def wait() -> None:
        events = [event for _, event in poll.poll()]
        if any(event & (select.POLLERR | select.POLLHUP) for event in events):
            shutil.rmtree(folder, ignore_errors=True)
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="listener", daemon=True).start()
