"""What a container or a systemd unit lets this process have of its machine.

Read from control groups (versions 1 and 2): Docker, Kubernetes and systemd all set limits there,
while the processors and the memory that the system tells of are still the whole machine's.
"""

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_UNLIMITED_BYTES = 2**60
"""Version 1 has no word for no limit, but a number larger than any memory."""


def granted_memory_bytes(root: Path = _ROOT) -> int | None:
    """The least memory limit of this process's groups; None: there is none."""
    found = [
        int(text)
        for folder in _folders(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (text := _read(folder / name)).isdecimal()
    ]
    limit = min(found, default=_UNLIMITED_BYTES)
    return limit if limit < _UNLIMITED_BYTES else None


def granted_cores(root: Path = _ROOT) -> float | None:
    """The least share of processor time of this process's groups, in cores; None: all."""
    found = []
    for folder in _folders(root, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota = _read(folder / "cpu.cfs_quota_us")
            period = _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            found.append(int(quota) / int(period))
    return min(found, default=None)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The group that this process is in, and those above it, as far as they can be seen."""
    mount = root / "sys" / "fs" / "cgroup"
    for line in _read(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = mount / controllers if controllers else mount
        if not top.exists() and controllers:
            top = mount / controller
        # A container of version 1 is told a path of the host's: then the top is its own group.
        group = top / path.strip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(top))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
