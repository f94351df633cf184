"""What the command line prints: tables, one-line errors, JSON."""

import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from service.schemas.documents import DocumentInvalid

_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?([eE][+-]?\d+)?(/\d+)?( ± .+)?$")

ExperimentArgument = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its id or name.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def run_plainly(app: typer.Typer) -> int:
    """Runs the command line; gives the exit status. No traceback for what users cause."""
    status = 1
    try:
        app(standalone_mode=True)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BrokenPipeError:
        status = 0  # a pager or `head` has seen enough
        sys.stderr.close()
    except KeyboardInterrupt:
        status = 130
    except Exception as error:
        if not _say_plainly(error):
            raise
    return status


def _say_plainly(error: Exception) -> bool:
    """Prints the error as a user reads it; False for one that nobody foresaw."""
    # Imported once something went wrong: `archfront --help` stays quick.
    from service.domain.errors import ArchfrontError
    from service.schemas.documents import DocumentInvalid

    if isinstance(error, DocumentInvalid):
        print_problems(error)
    elif isinstance(error, ArchfrontError):
        print(f"error: {error}", file=sys.stderr)
    elif isinstance(error, OSError):
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    else:
        return False
    return True


def print_problems(error: "DocumentInvalid") -> None:
    """Each offending field on a line of its own."""
    if len(error.errors) < 2:
        print(f"error: {error}", file=sys.stderr)
        return
    print(f"error: {len(error.errors)} fields are not valid:", file=sys.stderr)
    for problem in error.errors:
        print(f"  {problem}", file=sys.stderr)


def print_json(value: "BaseModel | list[Any]") -> None:
    """The value as indented JSON."""
    document: Any
    if isinstance(value, list | tuple):
        document = [one.model_dump(mode="json") for one in value]
    else:
        document = value.model_dump(mode="json")
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Aligned columns; numbers to the right. `empty` stands where there is no row."""
    if not rows:
        print(empty)
        return
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        print("  ".join(cells).rstrip())


def pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping."""
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
        found[key] = value
    return found


def _is_number(text: str) -> bool:
    return not text or _NUMBER.match(text) is not None
