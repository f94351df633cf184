"""Times short inferences: warm up, repeat until the clock can tell, then time one block."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Invoke: TypeAlias = Callable[[], None]
"""One inference."""

NanosecondClock: TypeAlias = Callable[[], int]

MIN_BLOCK_NS = 500_000
"""No timed block is shorter, lest the clock's own cost and grain show."""

MAX_BLOCK_NS = 5_000_000
"""Beyond it, nothing is repeated within a block that takes this long by itself."""

_WARM_UP_WINDOW_NS = 3_000_000
_MOST_WINDOWS = 10
_STATIONARY = 0.97  # the newest window's median is at least this share of the one before


@dataclass(frozen=True)
class Clocks:
    """What an inference is timed by.

    work: the clock that pair ratios are taken of. With one thread the thread's own CPU time, which
        stands still while another process has the core; with more, wall time.
    """

    work: NanosecondClock
    wall: NanosecondClock
    work_name: str


def clocks_for(threads: int) -> Clocks:
    """The clocks for a runtime of so many threads."""
    if threads == 1:
        return Clocks(time.thread_time_ns, time.perf_counter_ns, "thread_cpu_time")
    # The caller's CPU time would leave out the work of the other threads.
    return Clocks(time.perf_counter_ns, time.perf_counter_ns, "wall_time")


@dataclass(frozen=True)
class WarmedUp:
    """How many inferences it took, and how long the last ones were (median)."""

    runs: int
    inference_ns: float


def warm_up(invoke: Invoke, clock: NanosecondClock) -> WarmedUp:
    """Runs until it no longer gets quicker, by windows of about 3 ms and at least 2 runs.

    It has become stationary when a window's median is no more than 3 % below that of the window
    before; after ten windows it is taken as it is.
    """
    first_ns = _time_once(invoke, clock)
    size = min(50, max(2, math.ceil(_WARM_UP_WINDOW_NS / max(first_ns, 1))))
    runs = 1
    previous_ns = math.inf
    for _ in range(_MOST_WINDOWS):
        newest_ns = statistics.median(_time_once(invoke, clock) for _ in range(size))
        runs += size
        if newest_ns >= _STATIONARY * previous_ns:
            break
        previous_ns = newest_ns
    return WarmedUp(runs, newest_ns)


def repeats_in_block(inference_ns: float, block_ns: float) -> int:
    """How often to run within one timed block so that it takes `block_ns` or more."""
    return max(1, math.ceil(block_ns / max(inference_ns, 1.0)))


def time_block(invoke: Invoke, repeats: int, clock: NanosecondClock) -> float:
    """Time of one inference in nanoseconds, the mean of `repeats` run back to back.

    A quarter as many (at least one) run untimed before: they bring the network's weights back
    into the caches that whatever ran before has taken, so that the first timed run is like the
    others.
    """
    for _ in range(max(1, repeats // 4)):
        invoke()
    start = clock()
    for _ in range(repeats):
        invoke()
    return (clock() - start) / repeats


def _time_once(invoke: Invoke, clock: NanosecondClock) -> int:
    start = clock()
    invoke()
    return clock() - start
