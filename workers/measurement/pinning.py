"""Chooses the cores to measure on and keeps the measuring thread there for a while."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from workers.errors import GrantRefused
from workers.measurement.disturbance import KernelWatch, Watch
from workers.measurement.pace import take_pace_ns

_LOOK_S = 0.05
_MOST_TO_CHOOSE_FROM = 8  # to look at one takes a millisecond


class PinnedCores:
    """The cores that this thread is kept on: see `calm_cores.Cores`.

    now: their numbers. taken: all that it has been kept on. Both None where the system has no such
    thing as affinity.
    With several threads it stays where it began: a runtime's pool may outlive its sessions, and
    would stay behind.
    choice: the cores that it may move to, the best first.
    """

    def __init__(self, choice: Sequence[int] | None, threads: int) -> None:
        self._choice = choice
        self._threads = threads
        self.now: tuple[int, ...] | None = None
        self.taken: tuple[int, ...] | None = None
        if choice is not None:
            self._keep_on(choice[:threads])

    def move(self) -> float:
        """See `Cores`; of equally quick cores it takes the first of its choice."""
        if self._choice is None or self._threads > 1:
            return self.pace_ns()
        found = []
        for place, core in enumerate(self._choice[:_MOST_TO_CHOOSE_FROM]):
            os.sched_setaffinity(0, {core})
            start_s = time.perf_counter()
            pace_ns = take_pace_ns()
            # By wall time, which also tells that it has to share the core with others of this host.
            found.append((time.perf_counter() - start_s, place, core, pace_ns))
        _, _, core, pace_ns = min(found)
        self._keep_on((core,))
        return pace_ns

    def pace_ns(self) -> float:
        """See `Cores`; of several cores, that of the slowest."""
        if self.now is None or len(self.now) == 1:
            return take_pace_ns()
        paces = []
        for core in self.now:
            os.sched_setaffinity(0, {core})
            paces.append(take_pace_ns())
        os.sched_setaffinity(0, self.now)
        return max(paces)

    def watch(self) -> Watch:
        """See `Cores`."""
        return KernelWatch(self._threads)

    def rest(self, seconds: float) -> None:
        """See `Cores`."""
        time.sleep(seconds)

    def _keep_on(self, cores: Sequence[int]) -> None:
        os.sched_setaffinity(0, cores)
        self.now = tuple(sorted(cores))
        self.taken = tuple(sorted({*(self.taken or ()), *cores}))


@contextmanager
def pinned(threads: int) -> Iterator[PinnedCores]:
    """Keeps this thread and those it starts on as many cores.

    Of the cores it may use, it takes the fastest kind, of these the least busy ones
    (ties: the highest numbers, for interrupts gather on the lowest). Afterwards it may use all of
    them again.
    Raises: GrantRefused if there are fewer cores than `threads`.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield PinnedCores(None, threads)
        return
    allowed = os.sched_getaffinity(0)
    if threads > len(allowed):
        raise GrantRefused(
            f"measurement.threads is {threads}, but this worker may use {len(allowed)} cores; "
            "ask for fewer threads, or start the worker with more cores"
        )
    try:
        yield PinnedCores(_by_preference(allowed, threads), threads)
    finally:
        os.sched_setaffinity(0, allowed)


def _by_preference(allowed: set[int], threads: int) -> list[int]:
    """The cores of the fastest kind, or all where these are fewer than `threads`."""
    before = _busy_ticks()
    time.sleep(_LOOK_S)
    after = _busy_ticks()

    def preference(core: int) -> tuple[int, int, int]:
        busy = after.get(core, 0) - before.get(core, 0)
        return (-_top_frequency_khz(core), busy, -core)

    ordered = sorted(allowed, key=preference)
    top_khz = _top_frequency_khz(ordered[0])
    fastest = [core for core in ordered if _top_frequency_khz(core) == top_khz]
    return fastest if len(fastest) >= threads else ordered


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
