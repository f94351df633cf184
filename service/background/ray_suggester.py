"""The suggester as a task of a Ray cluster, which starts it anew where its machine dies.

The task takes the database's URL from the environment of its own machine: what is passed through
Ray can be read by all that reach the cluster. The suggester keeps nothing but the database, so
that it may end anywhere at any time.
"""

import logging
import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

from service.domain.errors import ArchfrontError, Unavailable
from service.logs import configure_logs
from service.ray_cluster import EngineUnavailable, join_ray_cluster

DATABASE_VARIABLE = "ARCHFRONT_DATABASE_URL"

_LOOK_S = 0.5
_CANCEL_LIMIT_S = 10.0
_logger = logging.getLogger(__name__)


def keep_suggesting_on_ray(ray: Any, stop: threading.Event) -> None:
    """Keeps one suggester running on the cluster that was joined, until `stop` is set.

    Raises: EngineUnavailable, if the suggester cannot run there.
    """
    task = (
        ray.remote(suggest_on_node)
        .options(name="archfront suggester", num_cpus=1, max_retries=-1)
        .remote()
    )
    _logger.info("The suggester was given to the Ray cluster.")
    while not stop.is_set():
        if ray.wait([task], timeout=_LOOK_S)[0]:
            tell_end(ray, task)
    ray.cancel(task, force=True)
    ray.wait([task], timeout=_CANCEL_LIMIT_S)


def suggest_on_node() -> None:
    """The task: suggests until it is broken off. Raises: Unavailable without a database here."""
    from service.background.suggester import keep_suggesting  # noqa: PLC0415  (on nodes alone)
    from service.storage.database import Database  # noqa: PLC0415

    url = os.environ.get(DATABASE_VARIABLE, "")
    if not url or url.startswith("sqlite"):
        found = "names SQLite, which is for one machine" if url else "is not set"
        raise Unavailable(
            f"{DATABASE_VARIABLE} {found} (on the Ray node {socket.gethostname()}).",
            remedy="Set it to the PostgreSQL database in the environment of `ray start`.",
        )
    configure_logs()
    database = Database(url)
    try:
        keep_suggesting(database, threading.Event())
    finally:
        database.dispose()


def main(address: str | None) -> None:
    """Runs until SIGTERM or SIGINT, which end the suggester on the cluster too.

    Raises: EngineUnavailable.
    """
    ray = join_ray_cluster(address)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    # After joining, for Ray puts a handler of its own there.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        keep_suggesting_on_ray(ray, stop)
    finally:
        ray.shutdown()


def tell_end(ray: Any, task: Any) -> None:
    """Says why the task has ended. Raises: EngineUnavailable, for no suggester ends by itself."""
    try:
        ray.get(task)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        known = cause if isinstance(cause, ArchfrontError) else None
        why = known.detail if known else str(cause or error).strip().splitlines()[-1]
        raise EngineUnavailable(
            f"The suggester ended on the Ray cluster: {why}",
            remedy=known.remedy if known else "See the logs of the cluster.",
        ) from error
    raise EngineUnavailable("The suggester ended on the Ray cluster by itself.")
