"""Times short inferences: one by itself, or as many at a time as the clock can tell."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Invoke: TypeAlias = Callable[[], None]
"""One inference."""

NanosecondClock: TypeAlias = Callable[[], int]

MIN_BLOCK_NS = 500_000
"""No timed block is shorter, lest the clock's own cost and grain show."""

_LONG_ENOUGH = 0.8
_MOST_TRIES = 5

MAX_BLOCK_NS = 5_000_000
"""Beyond it, nothing is repeated within a block that takes this long by itself."""


@dataclass(frozen=True)
class Clocks:
    """What an inference is timed by.

    work: the clock that pair ratios are taken of. With one thread the thread's own CPU time, which
        stands still while another process has the core; with more, wall time.
    threads: of the runtime.
    """

    work: NanosecondClock
    wall: NanosecondClock
    work_name: str
    threads: int = 1


def clocks_for(threads: int) -> Clocks:
    """The clocks for a runtime of so many threads."""
    if threads == 1:
        return Clocks(time.thread_time_ns, time.perf_counter_ns, "thread_cpu_time")
    # The caller's CPU time would leave out the work of the other threads.
    return Clocks(time.perf_counter_ns, time.perf_counter_ns, "wall_time", threads)


def repeats_in_block(inference_ns: float, block_ns: float) -> int:
    """How often to run within one timed block so that it takes `block_ns` or more."""
    return max(1, math.ceil(block_ns / max(inference_ns, 1.0)))


def time_in_block(invoke: Invoke, alone_ns: float, clock: NanosecondClock) -> float:
    """How long one of many inferences back to back takes, in nanoseconds.

    alone_ns: of one timed by itself, which with cold caches and the clock's own cost may be many
        times as long; a quick network is timed in longer and longer blocks, until one is as long
        as it has to be.
    """
    inference_ns = alone_ns
    for _ in range(_MOST_TRIES):
        repeats = repeats_in_block(inference_ns, MIN_BLOCK_NS)
        inference_ns = time_block(invoke, repeats, clock)
        if repeats * inference_ns >= _LONG_ENOUGH * MIN_BLOCK_NS:
            break
    return inference_ns


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


def time_once(invoke: Invoke, clock: NanosecondClock) -> int:
    """Time of one inference in nanoseconds."""
    start = clock()
    invoke()
    return clock() - start
