"""A folder as /sys/class/powercap, and counters in it that go on by themselves."""

import threading
import time
from pathlib import Path


def add_zone(powercap: Path, zone: str, name: str, energy_uj: int, range_uj: int) -> Path:
    """The counter's folder."""
    folder = powercap / zone
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    return folder


class RunningCounter:
    """While the `with` block lasts the counter counts so many watts, and wraps as it must."""

    def __init__(self, folder: Path, watts: float) -> None:
        self._folder = folder
        self._watts = watts
        self._start_uj = int((folder / "energy_uj").read_text())
        self._range_uj = int((folder / "max_energy_range_uj").read_text())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)
        self.wraps = 0

    def __enter__(self) -> "RunningCounter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _count(self) -> None:
        start_s = time.monotonic()
        while not self._ended.wait(0.001):
            spent_uj = int(self._watts * 1e6 * (time.monotonic() - start_s))
            self.wraps, now_uj = divmod(self._start_uj + spent_uj, self._range_uj)
            # Renamed into place: a reader never sees half a number.
            made = self._folder / "made"
            made.write_text(f"{now_uj}\n")
            made.replace(self._folder / "energy_uj")
