"""Chooses the cores to measure on and keeps the measuring thread there for a while."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.errors import GrantRefused

_LOOK_S = 0.05


@contextmanager
def pinned(threads: int) -> Iterator[tuple[int, ...] | None]:
    """Keeps this thread and those it starts on as many cores; gives their numbers.

    Of the cores it may use, it takes the fastest kind, of these the least busy ones
    (ties: the highest numbers, for interrupts gather on the lowest). Afterwards it may use all of
    them again. None where the system has no such thing as affinity.
    Raises: GrantRefused if there are fewer cores than `threads`.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    if threads > len(allowed):
        raise GrantRefused(
            f"measurement.threads is {threads}, but this worker may use {len(allowed)} cores; "
            "ask for fewer threads, or start the worker with more cores"
        )
    chosen = _choose(allowed, threads)
    os.sched_setaffinity(0, chosen)
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, allowed)


def _choose(allowed: set[int], count: int) -> tuple[int, ...]:
    before = _busy_ticks()
    time.sleep(_LOOK_S)
    after = _busy_ticks()

    def preference(core: int) -> tuple[int, int, int]:
        busy = after.get(core, 0) - before.get(core, 0)
        return (-_top_frequency_khz(core), busy, -core)

    return tuple(sorted(sorted(allowed, key=preference)[:count]))


def _busy_ticks() -> dict[int, int]:
    # `cpuN user nice system idle iowait irq softirq steal ...` (proc(5))
    ticks = {}
    listing = Path("/proc/stat")
    for line in listing.read_text().splitlines() if listing.exists() else ():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, *rest = map(int, fields)
            ticks[int(name[3:])] = user + nice + system + sum(rest[:3])
    return ticks


def _top_frequency_khz(core: int) -> int:
    try:
        return int(Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq").read_text())
    except (OSError, ValueError):
        return 0  # unknown, and then unknown for all of them
