"""Says what this host is, as far as it bears on a latency."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from service.domain.device import DeviceProfile
from workers.environment import processor_name


def profile_this_host() -> DeviceProfile:
    """Probes the machine that this process runs on."""
    return DeviceProfile(
        make=_first_line("/sys/class/dmi/id/sys_vendor"),
        model=_first_line("/proc/device-tree/model")
        or _first_line("/sys/class/dmi/id/product_name"),
        processor=processor_name(),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        system=_system_name(),
        kernel=platform.release(),
        governor=_first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        torch=_torch_version(),
    )


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _first_line(path: str) -> str | None:
    """What the system tells there (a device tree ends its texts with NUL); None if nothing."""
    try:
        return Path(path).read_text(errors="replace").strip("\0 \n") or None
    except OSError:
        return None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def _torch_version() -> str | None:
    try:
        return version("torch")  # without importing it
    except PackageNotFoundError:
        return None
