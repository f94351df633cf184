"""What the kernel says that happened to a pair while it was timed: taken off its core, throttled...

All of it is read outside the timed blocks. What a machine does not tell is taken not to happen; the
protocol says what was watched.
"""

import os
import resource
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

Disturbance: TypeAlias = Literal["preempted", "waited", "stolen", "throttled", "clock_changed"]
"""preempted: another task was given the core. waited: it could run and was not let, otherwise.
stolen: the hypervisor gave the core to another machine. throttled: the core was slowed down for
its heat or power. clock_changed: its frequency is another than before.
"""

WAITED_NS = 50_000
"""Shorter waits are the kernel's own housekeeping."""

_CLOCK_CHANGED = 0.02  # as a share of the frequency; the readings themselves wander
_THROTTLING_COOLERS = ("cpufreq", "thermal-cpufreq", "Processor")

_Reading: TypeAlias = "tuple[int, ...]"
_Differs: TypeAlias = "Callable[[int, int], bool]"


class Watch(Protocol):
    """Tells what has disturbed the time between two looks."""

    @property
    def watched(self) -> tuple[Disturbance, ...]:
        """What it can tell of."""
        ...

    def look(self) -> _Reading:
        """A moment, for `between`."""
        ...

    def between(self, before: _Reading, after: _Reading) -> tuple[Disturbance, ...]:
        """What happened from one look to another."""
        ...


class KernelWatch:
    """Watches the calling thread and the cores it is pinned to (Linux; elsewhere, preemption).

    threads: with more than one, what happened to any thread of this process counts.
    cores: None takes those that the thread may run on now.
    proc, sys: where the kernel's own files lie.
    """

    def __init__(
        self,
        threads: int = 1,
        cores: Sequence[int] | None = None,
        proc: Path = Path("/proc"),
        sys: Path = Path("/sys"),
    ) -> None:
        if cores is None:
            cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ()
        whose = resource.RUSAGE_SELF
        if threads == 1:
            whose = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
        self._gauges: list[tuple[Disturbance, Callable[[], int], _Differs]] = [
            ("preempted", lambda: resource.getrusage(whose).ru_nivcsw, _rose)
        ]
        if threads == 1:
            self._add("waited", proc / "thread-self" / "schedstat", _run_delay_ns, _waited)
        if len(cores) <= threads:  # else nobody knows which of them it was on
            for core in cores:
                self._watch_core(core, proc, sys)

    def _watch_core(self, core: int, proc: Path, sys: Path) -> None:
        folder = sys / "devices/system/cpu" / f"cpu{core}"
        self._add("stolen", proc / "stat", lambda text: _stolen_ticks(text, core), _rose)
        for name in ("core_throttle_count", "package_throttle_count"):
            self._add("throttled", folder / "thermal_throttle" / name, int, _rose)
        for cooler in sorted((sys / "class/thermal").glob("cooling_device*")):
            if _is_throttling(cooler):
                self._add("throttled", cooler / "cur_state", int, _is_on)
        self._add("clock_changed", folder / "cpufreq/scaling_cur_freq", int, _clock_changed)

    def _add(
        self, what: Disturbance, path: Path, number_in: Callable[[str], int], differs: _Differs
    ) -> None:
        """Watches the number in a file of the kernel, if it is there."""
        try:
            gauge = _Gauge(path, number_in)
            gauge()
        except (OSError, ValueError, IndexError):
            return
        self._gauges.append((what, gauge, differs))

    @property
    def watched(self) -> tuple[Disturbance, ...]:
        """See `Watch`."""
        return tuple(dict.fromkeys(what for what, _, _ in self._gauges))

    def look(self) -> _Reading:
        """See `Watch`."""
        return tuple(read() for _, read, _ in self._gauges)

    def between(self, before: _Reading, after: _Reading) -> tuple[Disturbance, ...]:
        """See `Watch`."""
        found: dict[Disturbance, None] = {}
        for (what, _, differs), earlier, later in zip(self._gauges, before, after, strict=True):
            if differs(earlier, later):
                found[what] = None
        if "preempted" in found:
            found.pop("waited", None)  # it waited because of that
        return tuple(found)


class _Gauge:
    """A number in a file of the kernel, kept open: reading it anew takes some microseconds."""

    def __init__(self, path: Path, number_in: Callable[[str], int]) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        self._number_in = number_in

    def __call__(self) -> int:
        return self._number_in(os.pread(self._descriptor, 65_536, 0).decode(errors="replace"))


def _run_delay_ns(text: str) -> int:
    return int(text.split()[1])  # time run, time waited to run, turns (sched-stats.rst)


def _stolen_ticks(text: str, core: int) -> int:
    # `cpuN user nice system idle iowait irq softirq steal ...` (proc(5))
    start = text.index(f"cpu{core} ")
    return int(text[start : text.index("\n", start)].split()[8])


def _is_throttling(cooler: Path) -> bool:
    try:
        return (cooler / "type").read_text().startswith(_THROTTLING_COOLERS)
    except OSError:
        return False


def _rose(before: int, after: int) -> bool:
    return after > before


def _is_on(before: int, after: int) -> bool:
    return before > 0 or after > 0


def _waited(before: int, after: int) -> bool:
    return after - before > WAITED_NS


def _clock_changed(before: int, after: int) -> bool:
    return abs(after - before) > _CLOCK_CHANGED * before
