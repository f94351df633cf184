"""The fleet as it stands."""

from sqlalchemy import Connection
from service.schemas.workers import WorkerView


def list_workers(connection: Connection) -> list[WorkerView]:
    """By name; replaced sessions are left out."""
    raise NotImplementedError


def read_worker(connection: Connection, worker_id: str) -> WorkerView:
    """Raises: WorkerNotFound."""
    raise NotImplementedError
