"""Cursors: opaque to callers, a list's name and the last row's sort keys inside."""

import base64
import binascii
import json
import math
from typing import Any

from service.domain.errors import InvalidRequest

Key = str | int | float | None


def encode_cursor(list_name: str, first: Key, second: Key) -> str:
    """A cursor that leads to what comes after the row with these two sort keys."""
    text = json.dumps([list_name, first, second], allow_nan=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, list_name: str) -> tuple[Key, Key]:
    """The two sort keys. Raises: InvalidRequest unless it is a cursor of that very list."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, first, second = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _not_a_cursor() from None
    if name != list_name or not _is_key(first) or not _is_key(second):
        raise _not_a_cursor()
    return first, second


def _is_key(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**31
    return value is None or isinstance(value, str)


def _not_a_cursor() -> InvalidRequest:
    return InvalidRequest(
        "The cursor is not one of this list in this order.",
        field="cursor",
        remedy="Take next_cursor from the page before, or leave it out.",
    )
