"""Problem details (RFC 9457): what is wrong, where, and what to do about it."""

from typing import Any

from search_spaces.values import ShortText, Value


class FieldProblem(Value):
    """One offending field: its path, the value given, what is wrong, and the remedy."""

    field: str
    message: str
    value: Any = None
    remedy: str | None = None


class Problem(Value):
    """The body of every answer that is not a success; `application/problem+json`."""

    type: str
    title: ShortText
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
