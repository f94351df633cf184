"""Says what this host is, as far as it bears on a latency."""

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from search_spaces.values import Value
from workers.environment import processor_name


class DeviceProfile(Value):
    """A device; latencies compare only within one.

    governor: the frequency governor of the first core, where the system tells it.
    torch: the version that exported the networks.
    """

    processor: str
    architecture: str
    cores: int
    system: str
    kernel: str
    governor: str | None
    torch: str | None

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits for the hardware alone: the same before and after updates."""
        hardware = f"{self.processor}|{self.architecture}|{self.cores}"
        return hashlib.sha256(hardware.encode()).hexdigest()[:12]


def profile_this_host() -> DeviceProfile:
    """Probes the machine that this process runs on."""
    return DeviceProfile(
        processor=processor_name(),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        system=_system_name(),
        kernel=platform.release(),
        governor=_governor(),
        torch=_torch_version(),
    )


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _governor() -> str | None:
    try:
        path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        return path.read_text().strip() or None
    except OSError:
        return None


def _torch_version() -> str | None:
    try:
        return version("torch")  # without importing it
    except PackageNotFoundError:
        return None
