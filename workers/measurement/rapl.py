"""Reads the energy counters of Intel's and AMD's processors, as Linux shows them (powercap, RAPL).

Importing this module imports no numpy: a worker asks here what it can offer.
"""

from dataclasses import dataclass
from pathlib import Path

from workers.errors import MetricNotGiven

_POWERCAP = Path("/sys/class/powercap")
_UJ_IN_MJ = 1_000


class NoEnergyCounter(MetricNotGiven):
    """There is no counter of energy on this machine that the worker may read."""


@dataclass
class _Package:
    """One counter. spent_uj: since it was first read, whatever wraps there were."""

    path: Path
    range_uj: int
    last_uj: int
    spent_uj: int = 0

    def read(self) -> int:
        now_uj = _number(self.path / "energy_uj")
        self.spent_uj += now_uj - self.last_uj + (self.range_uj if now_uj < self.last_uj else 0)
        self.last_uj = now_uj
        return self.spent_uj


class RaplCounter:
    """The processors' packages together: their cores, caches and memory controllers.

    Domains inside a package (cores, memory) are in it already or no part of it, and are left out.
    A counter wraps every few minutes under full load at the earliest: it has to be read more often.
    Raises: NoEnergyCounter, with the reason.
    """

    def __init__(self, powercap: Path = _POWERCAP) -> None:
        zones = sorted(powercap.glob("intel-rapl:*"))  # AMD's are called so, too
        try:
            self._packages = [
                _Package(zone, _number(zone / "max_energy_range_uj"), _number(zone / "energy_uj"))
                for zone in zones
                if (zone / "name").read_text().startswith("package")
            ]
        except OSError as error:
            raise NoEnergyCounter(
                f"the energy counter {error.filename} cannot be read ({error.strerror}); Linux "
                "keeps it to root: let the worker's user read it"
            ) from error
        if not self._packages:
            raise NoEnergyCounter(
                f"this machine shows no energy counter in {powercap} (intel-rapl); virtual "
                "machines and most boards have none"
            )

    @property
    def name(self) -> str:
        """What it counts, in words."""
        count = len(self._packages)
        return f"RAPL, {count} package{'s' if count > 1 else ''}, whatever runs there"

    def read_mj(self) -> float:
        """Millijoules since it was made."""
        return sum(package.read() for package in self._packages) / _UJ_IN_MJ


def _number(path: Path) -> int:
    return int(path.read_text())
