"""What `archfront worker` does: one worker in the foreground, until a signal ends it."""

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

from search_spaces.registry import installed_registry
from service.client import Client
from workers.contact import ServerContact
from workers.daemon import Daemon, pauses_s
from workers.engines.opening import open_engine
from workers.enrollment import own_token
from workers.health import answering_health
from workers.name_lock import take_name
from workers.settings import read_worker_settings
from workers.watchdog import Watchdog


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
    gpus: Sequence[str] | str | None = None,
    device: str | None = None,
    targets: Sequence[str] | None = None,
    devices_file: Path | None = None,
    labels: Mapping[str, str] | None = None,
    resources: Mapping[str, str] | None = None,
    drain_s: float | None = None,
    memory_limit_gib: float | None = None,
    disk_limit_gib: float | None = None,
    time_limit_s: float | None = None,
    health_host: str | None = None,
    health_port: int | None = None,
    engine: str | None = None,
    address: str | None = None,
    gpus_per_stage: float | None = None,
    slurm_partition: str | None = None,
    slurm_gres: str | None = None,
    slurm_time_limit_min: int | None = None,
) -> None:
    """Works until told to stop; what is None comes from `ARCHFRONT_WORKER_*` or its default.

    SIGTERM drains; a second one, or SIGINT (Ctrl-C), breaks off what still runs.
    Raises: WorkerSettingsInvalid, WorkerNameTaken, EngineUnavailable, and what the server refuses
    for good.
    """
    settings = read_worker_settings(
        name=name,
        slots=slots,
        stages=stages,
        cache_folder=cache_folder,
        data_folder=data_folder,
        threads=threads,
        cores=cores,
        gpus=gpus,
        device=device,
        targets=targets,
        devices_file=devices_file,
        labels=labels,
        resources=resources,
        drain_s=drain_s,
        memory_limit_gib=memory_limit_gib,
        disk_limit_gib=disk_limit_gib,
        time_limit_s=time_limit_s,
        health_host=health_host,
        health_port=health_port,
        engine=engine,
        address=address,
        gpus_per_stage=gpus_per_stage,
        slurm_partition=slurm_partition,
        slurm_gres=slurm_gres,
        slurm_time_limit_min=slurm_time_limit_min,
    )
    taken = take_name(settings.data_folder, settings.name)
    try:
        contact = ServerContact(taken.name, Watchdog.from_environment(os.environ))
        with (
            Client(url, own_token(url, token, taken, pauses_s), tries=1) as client,
            answering_health(settings.health_host, settings.health_port, contact),
            closing(open_engine(settings)) as opened,
        ):
            daemon = Daemon(client, settings, installed_registry(), taken, contact, engine=opened)
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
