"""Artifacts on the wire: raw bytes by PUT, this in return."""

from datetime import datetime

from search_spaces.values import Value


class ArtifactView(Value):
    """A stored file."""

    sha256: str
    size_bytes: int
    created_at: datetime
