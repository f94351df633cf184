"""Knows which files are stored; their bytes are in `service.storage.artifacts`."""

from sqlalchemy import Connection

from service.domain.errors import Unavailable
from service.schemas.artifacts import ArtifactView
from service.storage.artifact_rows import find_artifact, insert_artifact
from service.storage.artifacts import ArtifactStore
from service.storage.clock import database_now


def record_artifact(connection: Connection, sha256: str, size_bytes: int) -> ArtifactView:
    """Notes a file that `ArtifactStore.put` has stored; noting it again is harmless."""
    insert_artifact(connection, sha256, size_bytes, database_now(connection))
    return read_artifact(connection, sha256)


def require_stored(store: ArtifactStore, sha256: str) -> None:
    """Refuses to record a file that was removed just as the same bytes came again.

    Raises: Unavailable.
    """
    if not store.exists(sha256):
        raise Unavailable(
            "The file was removed while it was sent.", field="sha256", remedy="Send it again."
        )


def read_artifact(connection: Connection, sha256: str) -> ArtifactView:
    """The file's size and age. Raises: ArtifactNotFound."""
    row = find_artifact(connection, sha256)
    return ArtifactView(sha256=row.sha256, size_bytes=row.size_bytes, created_at=row.created_at)
