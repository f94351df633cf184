"""A worker's own token speaks for that worker alone."""

from sqlalchemy import Connection

from service.domain.errors import AnothersWorker
from service.storage.attempts import worker_of_lease
from service.storage.workers import find_worker


def require_own_name(own: str | None, name: str) -> None:
    """own: the only worker that the token speaks for; None: it speaks for all.

    Raises: AnothersWorker.
    """
    if own is not None and name != own:
        raise AnothersWorker(
            f"The token is that of the worker {own!r}, not of {name!r}.",
            remedy="Give each worker a token of its own: `archfront fleet token create`.",
        )


def require_own_session(connection: Connection, own: str | None, worker_id: str) -> None:
    """Raises: AnothersWorker; WorkerNotFound."""
    if own is not None:
        require_own_name(own, find_worker(connection, worker_id).name)


def require_own_lease(connection: Connection, own: str | None, lease_id: str) -> None:
    """Raises: AnothersWorker, also for leases that no worker holds; LeaseNotFound."""
    if own is not None:
        require_own_name(own, worker_of_lease(connection, lease_id) or "a person")
