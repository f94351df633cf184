"""Column types that hold on SQLite and PostgreSQL alike: JSON, any text, moments in time."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Double, Text
from sqlalchemy.types import TypeDecorator

from service.domain.errors import InvalidRequest

_REPLACEMENT = "\ufffd"


def storable_text(text: str) -> str:
    """The text with NUL and lone surrogates replaced, one character for one character.

    PostgreSQL text cannot hold NUL, and no UTF-8 encoder takes a lone surrogate.
    """
    if "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text):
        return text
    return "".join(_REPLACEMENT if c == "\x00" or "\ud800" <= c <= "\udfff" else c for c in text)


def require_finite(value: Any, field: str) -> None:
    """Refuses a JSON value that holds NaN or an infinity, naming where.

    Raises: InvalidRequest.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(
            f"{field} is {value}, which JSON cannot carry.",
            field=field,
            remedy="Send a finite number, or null.",
        )
    if isinstance(value, dict):
        for key, part in value.items():
            require_finite(part, f"{field}.{key}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            require_finite(part, f"{field}.{index}")


class JsonText(TypeDecorator[Any]):
    """A JSON value as ASCII text: `1.0` comes back a float, `1` an int, NaN is refused.

    Text rather than JSONB: the latter drops the difference between 1 and 1.0, and refuses NUL.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """The value as text."""
        if value is None:
            return None
        return json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """The text as a value."""
        return None if value is None else json.loads(value)


class AnyText(TypeDecorator[str]):
    """Text from programs rather than people: what cannot be stored is replaced, not refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """The text, storable."""
        return None if value is None else storable_text(value)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, kept as seconds since 1970 in a double: compared the same everywhere."""

    impl = Double
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> float | None:
        """Seconds since 1970."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; make it aware, in UTC")
        return value.timestamp()

    def process_result_value(
        self,
        value: float | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """An aware datetime in UTC."""
        return None if value is None else datetime.fromtimestamp(value, UTC)
