"""Times the reference network by itself again and again, and keeps every figure on the host.

The first of them is the one that all latencies of the host are counted in; the later ones are
there to show whether the device is still the one it was.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from service.domain.calibration import Calibration
from workers.durable_file import write_durably

AGAIN_AFTER = timedelta(hours=1)
"""A measurement calibrates again if the newest calibration is older."""

KEPT = 2_000
"""Older ones are dropped: at one an hour, those of a quarter of a year are kept."""

_LINES = TypeAdapter(Calibration)


def read_history(path: Path) -> list[Calibration]:
    """The calibrations kept there, the oldest first; without lines that cannot be read."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(_LINES.validate_json(line))
        except ValidationError:  # a disk that was full, a person's hand
            continue
    return found


def continue_history(
    path: Path, first: Calibration, calibrate: Callable[[], Calibration], now: datetime
) -> list[Calibration]:
    """The history, which begins with `first` and is added to if its newest is too old by `now`.

    Only one process at a time may be in here.
    """
    kept = read_history(path)
    history = kept.copy() or [first]
    # Beyond `now` it lies if somebody has set the clock back.
    if not now - AGAIN_AFTER <= history[-1].calibrated_at <= now:
        history.append(calibrate())
    if history != kept:
        _write(path, history[-KEPT:])
    return history


def _write(path: Path, history: Sequence[Calibration]) -> None:
    lines = [one.model_dump_json() for one in history]
    write_durably(path, ("\n".join(lines) + "\n").encode())
