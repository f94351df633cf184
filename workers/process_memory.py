"""How much memory a process and all that it has started hold, as far as it cannot be dropped."""

from collections.abc import Iterator
from pathlib import Path

import psutil

_PROC = Path("/proc")
_KIB = 1024


def held_bytes(pid: int, enough_bytes: float) -> int:
    """Of the process and its descendants; exact only if it is more than `enough_bytes`.

    Pages of files do not count, for the kernel drops them when it needs room. What processes
    share is counted once, which takes a look at every mapping: that is spared while even the sum
    of what each of them sees is no more than enough.
    """
    members = [pid, *_descendants(pid)]
    seen = sum(map(_resident_bytes, members))
    return seen if seen <= enough_bytes else sum(map(_proportional_bytes, members))


def _descendants(pid: int) -> Iterator[int]:
    # Of each of its threads the children; psutil would read every process of the machine.
    listings = list((_PROC / str(pid) / "task").glob("*/children"))
    if not listings:
        try:
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
        except psutil.Error:
            return
        return
    for listing in listings:
        try:
            children = [int(child) for child in listing.read_text().split()]
        except OSError:  # the thread has ended
            continue
        for child in children:
            yield child
            yield from _descendants(child)


def _resident_bytes(pid: int) -> int:
    fields = _fields(_PROC / str(pid) / "status", ("RssAnon", "RssShmem", "VmSwap"))
    if fields:
        return sum(fields.values())
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _proportional_bytes(pid: int) -> int:
    """With of each shared page the share of one process."""
    path = _PROC / str(pid) / "smaps_rollup"
    fields = _fields(path, ("Pss_Anon", "Pss_Shmem", "SwapPss"))
    return sum(fields.values()) if "Pss_Anon" in fields else _resident_bytes(pid)


def _fields(path: Path, names: tuple[str, ...]) -> dict[str, int]:
    """Lines such as `RssAnon:   123 kB`, in bytes; none if the process has ended."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    split = (line.split() for line in lines)
    return {
        words[0].rstrip(":"): int(words[1]) * _KIB
        for words in split
        if len(words) > 1 and words[0].rstrip(":") in names
    }
