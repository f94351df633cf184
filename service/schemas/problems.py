"""Problem details (RFC 9457): what is wrong, where, and what to do about it."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from search_spaces.values import ShortText, Value
from service.domain.errors import ArchfrontError

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:archfront:problem:"


class FieldProblem(Value):
    """One offending field: its path, the value given, what is wrong, and the remedy."""

    field: str
    message: str
    value: Any = None
    remedy: str | None = None

    def __str__(self) -> str:
        given = f" (got {self.value!r})" if isinstance(self.value, str | int | float) else ""
        return f"{self.field}: {self.message}{given}." + (f" {self.remedy}" if self.remedy else "")


class Problem(Value):
    """The body of every answer that is not a success; `application/problem+json`."""

    type: str
    title: ShortText
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()


def problem_type(error_class: type[ArchfrontError]) -> str:
    """The URN that names an error class on the wire: `urn:archfront:problem:lease-lost`."""
    return _TYPE_PREFIX + re.sub(r"(?<!^)(?=[A-Z])", "-", error_class.__name__).lower()


@cache
def error_class(problem_type_urn: str) -> type[ArchfrontError]:
    """The error class that a URN names; `ArchfrontError` where this release knows none."""
    for known in _descendants(ArchfrontError):
        if problem_type(known) == problem_type_urn:
            return known
    return ArchfrontError


def _descendants(root: type[ArchfrontError]) -> Iterator[type[ArchfrontError]]:
    yield root
    for child in root.__subclasses__():
        yield from _descendants(child)
