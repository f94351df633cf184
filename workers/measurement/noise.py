"""Watches what else went on while something was measured."""

import os
import re
import resource
from pathlib import Path

from workers.measurement.protocol import Noise


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
