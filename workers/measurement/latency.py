"""Times a network against a fixed reference network, in interleaved pairs and fresh sessions.

A neighbour's load slows both networks of a pair alike, so that their ratio stands still where
either time alone wanders. What remains between two runs is where each session's weights came to
lie in memory: each round therefore loads both networks anew, and rounds are what the standard
error is taken over (`statistics.estimate_quantile`). Whichever is loaded or timed second has a
small advantage: the two take turns at it, by rounds and by pairs.
"""

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workers.measurement.statistics import QuantileEstimate, estimate_quantile
from workers.measurement.timed_block import (
    MAX_BLOCK_NS,
    MIN_BLOCK_NS,
    Clocks,
    Invoke,
    WarmedUp,
    repeats_in_block,
    time_block,
    warm_up,
)

PAIRS_PER_ROUND = 8

SINGLE_RUNS = 662
"""Aimed at for the quantiles of wall time: so many hold a run beyond the 99th percentile with a
probability of 99.87 % (1 - 0.99 ** 662)."""

_FEWEST_SINGLE_RUNS = 4  # in a round, however slow the network
_SHARE_FOR_SINGLE_RUNS = 0.25  # of the time limit

Load: TypeAlias = Callable[[int], Invoke]
"""Loads a network afresh for the round of this index."""


@dataclass(frozen=True)
class PairTimings:
    """R rounds of m pairs, the first r of them with s single runs each.

    ratios: R x m, candidate over reference, of the work clock.
    wall_ns: r x s, wall time of single inferences of the candidate.
    candidate_repeats, reference_repeats: inferences in one timed block.
    ended_by: "confidence" if the interval was narrow enough, else "time_limit".
    """

    ratios: NDArray[np.float64]
    wall_ns: NDArray[np.float64]
    candidate_repeats: int
    reference_repeats: int
    warm_up_runs: int
    ended_by: Literal["confidence", "time_limit"]


def time_pairs(
    load_candidate: Load,
    load_reference: Load,
    clocks: Clocks,
    seed: int,
    *,
    min_pairs: int,
    relative_ci: float,
    time_limit_s: float,
) -> PairTimings:
    """Rounds of pairs until the median ratio's 95 % interval is within +-`relative_ci` of it.

    `min_pairs` are always taken; beyond them, no round begins after `time_limit_s`.
    """
    start_ns = clocks.wall()
    fewest_rounds = math.ceil(min_pairs / PAIRS_PER_ROUND)
    rounds: list[NDArray[np.float64]] = []
    wall_ns: list[NDArray[np.float64]] = []
    warm_up_runs = 0
    plan: _Plan | None = None
    while True:
        with _no_collection():
            if len(rounds) % 2 == 0:
                candidate, reference = load_candidate(len(rounds)), load_reference(len(rounds))
            else:
                reference, candidate = load_reference(len(rounds)), load_candidate(len(rounds))
            warm = (warm_up(candidate, clocks.work), warm_up(reference, clocks.work))
            plan = plan or _plan(*warm, fewest_rounds, time_limit_s)
            rounds.append(_time_pairs(candidate, reference, plan, clocks))
            if len(rounds) <= fewest_rounds:
                wall_ns.append(_time_singles(candidate, plan.single_runs, clocks))
            warm_up_runs += sum(one.runs for one in warm)
            del candidate, reference  # the next round's sessions shall not find them in memory
        if len(rounds) < fewest_rounds:
            continue
        ratios = np.stack(rounds)
        narrow = estimate_quantile(ratios, 0.5, seed).relative_half_width <= relative_ci
        if narrow or clocks.wall() - start_ns >= time_limit_s * 1e9:
            return PairTimings(
                ratios=ratios,
                wall_ns=np.stack(wall_ns),
                candidate_repeats=plan.candidate_repeats,
                reference_repeats=plan.reference_repeats,
                warm_up_runs=warm_up_runs,
                ended_by="confidence" if narrow else "time_limit",
            )


def time_alone(load: Load, clocks: Clocks, seed: int, rounds: int = 16) -> QuantileEstimate:
    """Median work time of one inference in nanoseconds, in fresh sessions, of nothing beside it."""
    times = np.empty((rounds, PAIRS_PER_ROUND))
    for index in range(rounds):
        with _no_collection():
            invoke = load(index)
            warm = warm_up(invoke, clocks.work)
            repeats = repeats_in_block(warm.inference_ns, MIN_BLOCK_NS)
            for block in range(PAIRS_PER_ROUND):
                times[index, block] = time_block(invoke, repeats, clocks.work)
            del invoke
    return estimate_quantile(times, 0.5, seed)


@dataclass(frozen=True)
class _Plan:
    candidate_repeats: int
    reference_repeats: int
    single_runs: int


def _plan(
    candidate: WarmedUp, reference: WarmedUp, fewest_rounds: int, time_limit_s: float
) -> _Plan:
    # Blocks of one pair take equally long, so that what happens meanwhile weighs alike.
    block_ns = min(max(candidate.inference_ns, MIN_BLOCK_NS), MAX_BLOCK_NS)
    affordable = time_limit_s * 1e9 * _SHARE_FOR_SINGLE_RUNS / max(candidate.inference_ns, 1.0)
    single_runs = math.ceil(min(SINGLE_RUNS, affordable) / fewest_rounds)
    return _Plan(
        candidate_repeats=repeats_in_block(candidate.inference_ns, block_ns),
        reference_repeats=repeats_in_block(reference.inference_ns, block_ns),
        single_runs=max(_FEWEST_SINGLE_RUNS, single_runs),
    )


def _time_pairs(
    candidate: Invoke, reference: Invoke, plan: _Plan, clocks: Clocks
) -> NDArray[np.float64]:
    ratios = np.empty(PAIRS_PER_ROUND)
    for pair in range(PAIRS_PER_ROUND):
        if pair % 2 == 0:
            candidate_ns = time_block(candidate, plan.candidate_repeats, clocks.work)
            reference_ns = time_block(reference, plan.reference_repeats, clocks.work)
        else:
            reference_ns = time_block(reference, plan.reference_repeats, clocks.work)
            candidate_ns = time_block(candidate, plan.candidate_repeats, clocks.work)
        ratios[pair] = candidate_ns / reference_ns
    return ratios


def _time_singles(candidate: Invoke, runs: int, clocks: Clocks) -> NDArray[np.float64]:
    wall_ns = np.empty(runs)
    candidate()  # untimed: the reference has had the caches
    for run in range(runs):
        start = clocks.wall()
        candidate()
        wall_ns[run] = clocks.wall() - start
    return wall_ns


@contextmanager
def _no_collection() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
