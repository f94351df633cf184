"""All figures as lines of JSON, and the page they become."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import records

RESULTS = Path(__file__).with_name("results.jsonl")
PAGE = Path(__file__).with_name("README.md")

Record = Mapping[str, Any]
Key = tuple[Any, ...]

_BEGIN, _END = "<!-- {} -->", "<!-- end of {} -->"


def read(kind: str, results: Path = RESULTS) -> list[dict[str, Any]]:
    """The records of one kind (`accuracy`, `cpu`, `matmul`), in the order of their making."""
    return [record for record in records.read(results) if record["kind"] == kind]


def keep(kind: str, record: Record, results: Path = RESULTS) -> None:
    """Adds one."""
    records.add({"kind": kind, **record}, results)


def write_part(name: str, text: str, page: Path = PAGE) -> None:
    """Puts `text` between the marks of its name in the page."""
    begin, end = _BEGIN.format(name), _END.format(name)
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
