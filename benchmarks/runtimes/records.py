"""The figures of each case, kept as one line of JSON each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("results.md")


@dataclass(frozen=True)
class Key:
    """Of one case: measured once for each version of the runtime and each kind of processor."""

    network: str
    runtime: str
    version: str
    precision: str
    seed: int
    processor: str


def key_of(record: dict[str, Any]) -> Key:
    """The key of a kept case."""
    return Key(**{name: record[name] for name in Key.__dataclass_fields__})


def read(results: Path = RESULTS) -> list[dict[str, Any]]:
    """All that is kept, in the order in which it was measured."""
    return list(_lines(results)) if results.exists() else []


def keep(record: dict[str, Any], results: Path = RESULTS) -> None:
    """Adds one."""
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _lines(results: Path) -> Iterator[dict[str, Any]]:
    for line in results.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
