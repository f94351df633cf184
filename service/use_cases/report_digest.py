"""Tells whether two reports are the same."""

import hashlib
import json

from search_spaces.values import Value


def report_digest(request: Value) -> str:
    """SHA-256, in hexadecimal, of the report's kind and content."""
    # ASCII JSON rather than pydantic's: free text may hold what UTF-8 cannot.
    text = json.dumps(request.model_dump(), sort_keys=True, default=str)
    return hashlib.sha256(f"{type(request).__name__} {text}".encode()).hexdigest()
