"""Which files are stored, as rows; their bytes are in `service.storage.artifacts`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from service.domain.errors import ArtifactNotFound
from service.storage.insertion import insert_if_absent
from service.storage.tables import artifacts


@dataclass(frozen=True)
class ArtifactRow:
    """A stored file; `sha256` in lower-case hexadecimal."""

    sha256: str
    size_bytes: int
    created_at: datetime


def insert_artifact(connection: Connection, sha256: str, size_bytes: int, now: datetime) -> None:
    """Adds the file; one that is known already stays as it is."""
    values = {"sha256": sha256, "size_bytes": size_bytes, "created_at": now}
    insert_if_absent(connection, artifacts, values)


def find_artifact(connection: Connection, sha256: str, field: str = "sha256") -> ArtifactRow:
    """The file of this SHA-256. Raises: ArtifactNotFound, naming `field`."""
    row = connection.execute(select(artifacts).where(artifacts.c.sha256 == sha256)).one_or_none()
    if row is None:
        raise ArtifactNotFound(
            f"No artifact has the SHA-256 {sha256!r}.",
            field=field,
            remedy="Upload it first with PUT /v1/artifacts/{sha256}.",
        )
    return ArtifactRow(row.sha256, row.size_bytes, row.created_at)


def remove_unrecorded(
    connection: Connection, sha256: str, now: datetime, remove: Callable[[str], None]
) -> None:
    """Calls `remove` unless there is a row of this file, and keeps others from adding one.

    Whoever adds the row meanwhile waits, and must look afterwards whether the file is there.
    """
    attempt = connection.begin_nested()
    values = {"sha256": sha256, "size_bytes": 0, "created_at": now}
    if insert_if_absent(connection, artifacts, values):
        remove(sha256)
    attempt.rollback()
