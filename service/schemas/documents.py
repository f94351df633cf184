"""Reads JSON and YAML texts strictly: what is ambiguous or cannot be kept is refused.

JSON as Python reads it allows NaN and lets a repeated key win silently; YAML 1.1 makes a
string of `1e-4`, a bool of `no` and a date of `2024-01-01`. None of that may reach a search.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from search_spaces.parameters import LARGEST_EXACT_INT
from service.domain.errors import InvalidRequest
from service.schemas.problems import FieldProblem

MAX_DEPTH = 64
MAX_NODES = 200_000
_SURROGATE = re.compile("[\ud800-\udfff]")


class DocumentInvalid(InvalidRequest):
    """The document is not valid."""

    def __init__(self, errors: tuple[FieldProblem, ...], detail: str | None = None) -> None:
        self.errors = errors
        if detail is None:
            rest = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            detail = f"{errors[0]}{rest}" if errors else None
        super().__init__(detail)


class DocumentUnreadable(InvalidRequest):
    """The text is not well-formed JSON or YAML."""


class UnsupportedMediaType(InvalidRequest):
    """The body is of a type that this address does not take."""


def parse_json(text: bytes) -> Any:
    """The value of a JSON text (UTF-8).

    Raises: DocumentUnreadable, with line and column, if it is no JSON or repeats a key;
        DocumentInvalid, with the field's path, for NaN, infinities, whole numbers beyond 2^53,
        lone surrogates, and nesting beyond `MAX_DEPTH`.
    """
    try:
        document = json.loads(decoded(text), object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise DocumentUnreadable(
            f"The JSON cannot be read at line {error.lineno}, column {error.colno}: {error.msg}.",
            remedy="Correct it there.",
        ) from None
    except RecursionError:
        raise DocumentUnreadable(
            f"The JSON nests too deeply; at most {MAX_DEPTH} levels are taken.",
            remedy="Flatten it.",
        ) from None
    except ValueError:  # a whole number of more than 4,300 digits
        raise DocumentUnreadable(
            "The JSON holds a number of thousands of digits.", remedy="Round it."
        ) from None
    refuse_unstorable(document)
    return document


def refuse_unstorable(document: Any) -> None:
    """Refuses, by path, what pydantic's free-form fields would let through.

    Raises: DocumentInvalid.
    """
    for nodes, (path, depth, value) in enumerate(_nodes(document)):
        if nodes > MAX_NODES:
            raise DocumentUnreadable(
                f"The document has more than {MAX_NODES} values.", remedy="Make it smaller."
            )
        problem = "nests too deeply" if depth > MAX_DEPTH else _problem_with(value)
        if problem is not None:
            raise DocumentInvalid(
                (
                    FieldProblem(
                        field=path_text(path),
                        message=problem,
                        value=shortened(value),
                        remedy=_REMEDIES[problem],
                    ),
                )
            )


_REMEDIES = {
    "nests too deeply": f"Use at most {MAX_DEPTH} levels.",
    "must be a finite number": "Leave it out; report a diverged arm as infeasible.",
    "must lie within +-2^53 to be exact": "Write a larger number with an exponent, as 1e20.",
    "must not contain lone surrogates": "Send valid Unicode text.",
}


def _problem_with(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and abs(value) > LARGEST_EXACT_INT:
        return "must lie within +-2^53 to be exact"
    if isinstance(value, str) and _SURROGATE.search(value):
        return "must not contain lone surrogates"
    return None


Path = tuple[str | int, ...]


def _nodes(document: Any) -> Iterator[tuple[Path, int, Any]]:
    """Every value and key with its path and depth, without recursion."""
    waiting: list[tuple[Path, int, Any]] = [((), 0, document)]
    while waiting:
        path, depth, value = waiting.pop()
        yield path, depth, value
        if depth > MAX_DEPTH:
            continue
        if isinstance(value, dict):
            for key, child in value.items():
                yield (*path, key), depth, key
                waiting.append(((*path, key), depth + 1, child))
        elif isinstance(value, list):
            waiting.extend(((*path, i), depth + 1, child) for i, child in enumerate(value))


def path_text(path: tuple[str | int, ...]) -> str:
    """A path as people write it: `parameters[2].high`; the root is `document`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return printable(text.lstrip(".")) or "document"


def shortened(value: Any, limit: int = 200) -> Any:
    """The value as an error message may repeat it: JSON-able, at most `limit` characters."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST_EXACT_INT:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    text = value if isinstance(value, str) else _quick_text(value, limit)
    return printable(text if len(text) <= limit else text[: limit - 1] + "…")


def printable(text: str) -> str:
    """The text with NUL and lone surrogates escaped, so that any encoder takes it."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def _quick_text(value: Any, limit: int) -> str:
    # A large container is cut before it is written out.
    if isinstance(value, int):
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | tuple):
        value = list(value[:limit])
    if isinstance(value, dict):
        value = dict(list(value.items())[:limit])
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"


def decoded(text: bytes) -> str:
    """The text of UTF-8 bytes, without a byte-order mark. Raises: DocumentUnreadable."""
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentUnreadable(
            f"Byte {error.start} is not valid UTF-8.", remedy="Send the text as UTF-8."
        ) from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DocumentUnreadable(
                f"The key {printable(key)!r} is given twice in one object.",
                remedy="Keep one of them.",
            )
        found[key] = value
    return found
