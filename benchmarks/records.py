"""Results kept as lines of JSON, each with what it was measured on."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def measured_on(packages: Sequence[str]) -> Line:
    """The moment, the machine and its load, and the versions of Python and these packages."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "load": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }


def add(line: Mapping[str, Any], results: Path) -> None:
    """Keeps one more."""
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read(results: Path) -> list[Line]:
    """All lines; none where there is no file yet."""
    if not results.exists():
        return []
    with results.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
