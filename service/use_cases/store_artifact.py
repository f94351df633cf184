"""Knows which files are stored; the bytes are in `service.storage.artifacts.ArtifactStore`."""

from sqlalchemy import Connection
from service.schemas.artifacts import ArtifactView


def record_artifact(connection: Connection, sha256: str, size_bytes: int) -> ArtifactView:
    """Call after ArtifactStore.put; again is harmless."""
    raise NotImplementedError


def read_artifact(connection: Connection, sha256: str) -> ArtifactView:
    """Raises: ArtifactNotFound."""
    raise NotImplementedError
