"""Watches what else went on while something was measured."""

import os
import re
import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Noise:
    """What else went on: not corrected for, but told.

    involuntary_switches: how often the kernel took the core from the measuring process; None where
        that process does not tell.
    cpu_pressure_percent: share of the last 10 s in which some task waited for a core (Linux PSI),
        at the end; None where the kernel does not tell.
    load_average: of the last minute, at the end.
    """

    involuntary_switches: int | None
    cpu_pressure_percent: float | None
    load_average: float


class NoiseWatch:
    """Counts from its making on."""

    def __init__(self) -> None:
        self._switches = _involuntary_switches()

    def read(self) -> Noise:
        """The noise since the making."""
        return Noise(
            involuntary_switches=_involuntary_switches() - self._switches,
            cpu_pressure_percent=_cpu_pressure_percent(),
            load_average=round(os.getloadavg()[0], 2),
        )


def _involuntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _cpu_pressure_percent() -> float | None:
    try:
        pressure = Path("/proc/pressure/cpu").read_text()
    except OSError:
        return None
    found = re.search(r"^some avg10=([\d.]+)", pressure)
    return float(found[1]) if found else None
