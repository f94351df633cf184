"""Keeps how quick a device's cores were in its last measurements, by which a slow one is told."""

import json
import math
from pathlib import Path

from workers.durable_file import write_durably

KEPT = 64
"""Of so many measurements: one that became slower for good is then taken for what it is."""


class KeptPaces:
    """The paces in a file; see `workers.measurement.pace`.

    Where two workers write at once, what one of them has seen is lost, and seen again soon.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def quickest_ns(self) -> float:
        """NaN where none is kept yet."""
        return min(self._read(), default=math.nan)

    def keep(self, pace_ns: float) -> None:
        """Adds what a measurement has seen; NaN, of a device that tells none, adds nothing."""
        if not math.isnan(pace_ns):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            kept = [*self._read(), pace_ns][-KEPT:]
            write_durably(self._path, json.dumps(kept).encode())

    def _read(self) -> list[float]:
        try:
            return [float(pace) for pace in json.loads(self._path.read_bytes())]
        except (OSError, ValueError, TypeError):  # none yet, or a person's hand
            return []
