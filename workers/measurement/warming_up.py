"""Runs freshly loaded networks until their times have settled."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from workers.measurement.stationarity import Settling, take_until_settled
from workers.measurement.timed_block import Invoke, NanosecondClock, time_once

MOST_BLOCKS = 60
"""After so many blocks a network that has not settled is taken as it is, and this is told."""

_BLOCK_NS = 1_500_000  # of single runs, whose median is one value of the test
_MOST_IN_BLOCK = 15


@dataclass(frozen=True)
class WarmedUp:
    """runs: inferences of all networks; inference_ns: median of one in the last blocks, of each.

    has_settled: the test found no trend in the end.
    """

    runs: int
    inference_ns: tuple[float, ...]
    has_settled: bool


def warm_up(invoke: Invoke, clock: NanosecondClock) -> WarmedUp:
    """Runs one network until the medians of blocks of its times show no trend."""
    return _warm_up((invoke,), clock, lambda times: times[0])


def warm_up_pair(candidate: Invoke, reference: Invoke, clock: NanosecondClock) -> WarmedUp:
    """Runs two in turn until the medians of blocks of their ratios show no trend.

    As they are timed later: each finds the caches as the other has left them, and a load that
    comes or goes meanwhile is no trend, for it meets both.
    """
    return _warm_up((candidate, reference), clock, lambda times: times[0] / max(times[1], 1))


def _warm_up(
    networks: tuple[Invoke, ...],
    clock: NanosecondClock,
    value: Callable[[tuple[int, ...]], float],
) -> WarmedUp:
    def run() -> tuple[int, ...]:
        return tuple(time_once(invoke, clock) for invoke in networks)

    first = run()
    in_block = min(_MOST_IN_BLOCK, math.ceil(_BLOCK_NS / max(sum(first), 1)))
    taken: list[tuple[int, ...]] = []

    def block() -> float:
        runs = [run() for _ in range(in_block)]
        taken.extend(runs)
        return statistics.median(map(value, runs))

    settling: Settling = take_until_settled(block, MOST_BLOCKS)
    last = taken[-in_block * len(settling.window) :]
    return WarmedUp(
        runs=(1 + len(taken)) * len(networks),
        inference_ns=tuple(statistics.median(times) for times in zip(*last, strict=True)),
        has_settled=settling.has_settled,
    )
