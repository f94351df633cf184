"""What `archfront worker` does: one worker in the foreground, until a signal ends it."""

import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue

from search_spaces.registry import installed_registry
from service.client import Client
from workers.daemon import Daemon
from workers.name_lock import take_name
from workers.settings import read_worker_settings


def run(
    url: str | None = None,
    token: str | None = None,
    *,
    name: str | None = None,
    slots: int | None = None,
    stages: Sequence[str] | None = None,
    cache_folder: Path | None = None,
    data_folder: Path | None = None,
    threads: int | None = None,
    cores: Sequence[int] | str | None = None,
    device: str | None = None,
    labels: Mapping[str, str] | None = None,
    drain_s: float | None = None,
) -> None:
    """Works until told to stop; what is None comes from `ARCHFRONT_WORKER_*` or its default.

    SIGTERM drains; a second one, or SIGINT (Ctrl-C), breaks off what still runs.
    Raises: WorkerSettingsInvalid, WorkerNameTaken, and what the server refuses for good.
    """
    settings = read_worker_settings(
        name=name,
        slots=slots,
        stages=stages,
        cache_folder=cache_folder,
        data_folder=data_folder,
        threads=threads,
        cores=cores,
        device=device,
        labels=labels,
        drain_s=drain_s,
    )
    taken = take_name(settings.data_folder, settings.name)
    try:
        with Client(url, token, tries=1) as client:
            daemon = Daemon(client, settings, installed_registry(), taken)
            _obey_signals(daemon)
            daemon.run()
    finally:
        taken.close()


def _obey_signals(daemon: Daemon) -> None:
    # A handler runs between any two instructions of the main thread, which may hold a lock: it
    # only leaves a note. `SimpleQueue.put` is made for that.
    received: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: received.put(number))

    def obey() -> None:
        if received.get() == signal.SIGTERM:
            daemon.drain()
            received.get()
        daemon.end()

    threading.Thread(target=obey, name="signals", daemon=True).start()
