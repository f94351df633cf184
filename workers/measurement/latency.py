"""Times a network against a fixed reference network, in interleaved pairs and fresh sessions.

A neighbour's load slows both networks of a pair alike, so that their ratio stands still where
either time alone wanders. What remains between two runs is where each session's weights came to
lie in memory: each round therefore loads both networks anew, and rounds are what the standard
error is taken over (`statistics.estimate_quantile`). Whichever is loaded or timed second has a
small advantage: the two take turns at it, by rounds and by pairs. Networks that do not fit into a
core's own caches are quicker the longer they have been running, so that whichever comes second in a
pair is slower, by a tenth and more: two successive pairs, in opposite orders, make one ratio.

A neighbour on the core's other thread, or in the cache that it shares, slows the two by unlike
factors, for seconds at a time. Every round is therefore taken on the calmest core there is
(`calm_cores`), rounds on slow ones and those in which the reference itself was slow are left out
(`pair_timings`), and a measurement goes on for some seconds also where its first second leaves no
doubt, so that it sees calm ones (decision 0017).

A pair during which the core was away, throttled or clocked anew is set aside and timed again, but
not for ever: where that goes on, the pairs are counted as they are, and it is told how many.
"""

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from workers.measurement.calm_cores import CalmCores, Cores, UnknownCores, on_calm_cores
from workers.measurement.disturbed_pairs import PAIRS_PER_ROUND, SettingAside
from workers.measurement.pair_timings import PairTimings
from workers.measurement.statistics import QuantileEstimate, estimate_quantile
from workers.measurement.timed_block import (
    MAX_BLOCK_NS,
    MIN_BLOCK_NS,
    Clocks,
    Invoke,
    repeats_in_block,
    time_block,
    time_in_block,
)
from workers.measurement.warming_up import WarmedUp, warm_up, warm_up_pair

SINGLE_RUNS = 662
"""Aimed at for the quantiles of wall time: so many hold a run beyond the 99th percentile with a
probability of 99.87 % (1 - 0.99 ** 662)."""

_FEWEST_SINGLE_RUNS = 4  # in a round, however slow the network
_SHARE_FOR_SINGLE_RUNS = 0.25  # of the time limit
_SHARE_FOR_REPEATS = 0.5  # of the time limit; later on no pair is set aside
_SHARE_FOR_WAITING = 0.5  # of the time limit, for a core to become calm
_WAITING_ALONE_S = 5.0

_SPAN_S, _SHARE_FOR_SPAN = 6.0, 1 / 3  # slow states were seen to last 2 to 5 s

Load: TypeAlias = Callable[[int], Invoke]
"""Loads a network afresh for the round of this index."""


def time_pairs(
    load_candidate: Load,
    load_reference: Load,
    clocks: Clocks,
    seed: int,
    *,
    min_pairs: int,
    relative_ci: float,
    time_limit_s: float,
    span_s: float | None = None,
    cores: Cores | None = None,
    quickest_pace_ns: float = math.nan,
) -> PairTimings:
    """Rounds of pairs until the median ratio's 95 % interval is within +-`relative_ci` of it.

    `min_pairs` are always taken; beyond them, no round begins after `time_limit_s`.
    span_s: it ends no earlier (None: after some seconds, or a part of the time limit).
    cores: None stays where it is, and takes the kernel's word for what disturbs this thread.
    quickest_pace_ns: of the device's cores, from earlier measurements; NaN where there are none.
    """
    start_ns = clocks.wall()

    def is_before(share: float) -> Callable[[], bool]:
        return lambda: clocks.wall() - start_ns < share * time_limit_s * 1e9

    fewest_rounds = math.ceil(min_pairs / PAIRS_PER_ROUND)
    if span_s is None:
        span_s = min(_SPAN_S, _SHARE_FOR_SPAN * time_limit_s)
    rounds: list[NDArray[np.float64]] = []
    reference_ns: list[NDArray[np.float64]] = []
    wall_ns: list[NDArray[np.float64]] = []
    warm_up_runs = unsettled_rounds = 0
    plan: _Plan | None = None
    cores = cores or UnknownCores(clocks.threads)
    calm_cores = CalmCores(cores, quickest_pace_ns, is_before(_SHARE_FOR_WAITING))
    disturbed = SettingAside(cores.watch(), min_pairs, is_before(_SHARE_FOR_REPEATS))
    while True:
        disturbed.watch = calm_cores.begin_round()
        with _no_collection():
            if len(rounds) % 2 == 0:
                candidate, reference = load_candidate(len(rounds)), load_reference(len(rounds))
            else:
                reference, candidate = load_reference(len(rounds)), load_candidate(len(rounds))
            warming_ns = clocks.wall()
            warm = warm_up_pair(candidate, reference, clocks.work)
            warming_ns = clocks.wall() - warming_ns
            if plan is None:
                pair = [
                    time_in_block(invoke, alone_ns, clocks.work)
                    for invoke, alone_ns in zip(
                        (candidate, reference), warm.inference_ns, strict=True
                    )
                ]
                single_ns = _wall_ns(warm, warming_ns)
                plan = _plan(pair[0], pair[1], single_ns, fewest_rounds, time_limit_s)
            ratios, reference_times = _time_pairs(candidate, reference, plan, clocks, disturbed)
            calm_cores.end_round()
            rounds.append(ratios)
            reference_ns.append(reference_times)
            if len(rounds) <= fewest_rounds:
                wall_ns.append(_time_singles(candidate, plan.single_runs, clocks))
            warm_up_runs += warm.runs
            unsettled_rounds += not warm.has_settled
            del candidate, reference  # the next round's sessions shall not find them in memory
        spent_s = (clocks.wall() - start_ns) / 1e9
        if len(rounds) < fewest_rounds or spent_s < span_s:
            continue
        timings = PairTimings(
            ratios=np.stack(rounds),
            reference_ns=np.stack(reference_ns),
            paces_ns=calm_cores.paces_ns,
            quickest_pace_ns=calm_cores.quickest_ns,
            fewest_rounds=fewest_rounds,
            wall_ns=np.stack(wall_ns),
            candidate_repeats=plan.candidate_repeats,
            reference_repeats=plan.reference_repeats,
            warm_up_runs=warm_up_runs,
            unsettled_rounds=unsettled_rounds,
            watched=disturbed.watch.watched,
            set_aside=disturbed.set_aside(),
            counted=disturbed.counted(),
            ended_by="confidence",
        )
        if (
            timings.has_enough_calm_rounds
            and timings.median_ratio(seed).relative_half_width <= relative_ci
        ):
            return timings
        if spent_s >= time_limit_s:
            return replace(timings, ended_by="time_limit")


@dataclass(frozen=True)
class AloneTimings:
    """What a network took with nothing beside it.

    median_ns: of one inference. pace_ns: the quickest round's, NaN where nobody knows.
    """

    median_ns: QuantileEstimate
    pace_ns: float


def time_alone(
    load: Load,
    clocks: Clocks,
    seed: int,
    *,
    rounds: int = 16,
    cores: Cores | None = None,
    quickest_pace_ns: float = math.nan,
) -> AloneTimings:
    """Median work time of one inference in fresh sessions, on cores as calm as there are.

    Blocks that are disturbed are set aside and timed again, up to as many as count. Rounds on slow
    cores are repeated as often.
    cores, quickest_pace_ns: see `time_pairs`.
    """
    start_ns = clocks.wall()
    cores = cores or UnknownCores(clocks.threads)
    calm_cores = CalmCores(
        cores, quickest_pace_ns, lambda: clocks.wall() - start_ns < _WAITING_ALONE_S * 1e9
    )
    disturbed = SettingAside(cores.watch(), rounds * PAIRS_PER_ROUND)
    times: list[NDArray[np.float64]] = []
    while True:
        disturbed.watch = calm_cores.begin_round()
        with _no_collection():
            times.append(_time_blocks(load(len(times)), clocks, disturbed))
        calm_cores.end_round()
        calm = on_calm_cores(calm_cores.paces_ns, calm_cores.quickest_ns)
        if calm.sum() >= rounds or len(times) >= 2 * rounds:
            break
    # Where few were calm, the calmest count.
    calmest = np.argsort(np.where(calm, 0.0, calm_cores.paces_ns), kind="stable")[:rounds]
    median = estimate_quantile(np.stack(times)[np.sort(calmest)], 0.5, seed)
    return AloneTimings(median, float(np.fmin.reduce(calm_cores.paces_ns)))


@dataclass(frozen=True)
class _Plan:
    candidate_repeats: int
    reference_repeats: int
    single_runs: int


def _wall_ns(warm: WarmedUp, warming_ns: int) -> float:
    """Of one inference of the candidate: beside others it may take many times its work."""
    share = warm.inference_ns[0] / max(sum(warm.inference_ns), 1.0)
    return 2 * warming_ns / warm.runs * share


def _plan(
    candidate_ns: float,
    reference_ns: float,
    single_ns: float,
    fewest_rounds: int,
    time_limit_s: float,
) -> _Plan:
    # Blocks of one pair take equally long, so that what happens meanwhile weighs alike.
    block_ns = min(max(candidate_ns, MIN_BLOCK_NS), MAX_BLOCK_NS)
    affordable = time_limit_s * 1e9 * _SHARE_FOR_SINGLE_RUNS / max(single_ns, 1.0)
    single_runs = math.ceil(min(SINGLE_RUNS, affordable) / fewest_rounds)
    return _Plan(
        candidate_repeats=repeats_in_block(candidate_ns, block_ns),
        reference_repeats=repeats_in_block(reference_ns, block_ns),
        single_runs=max(_FEWEST_SINGLE_RUNS, single_runs),
    )


def _undisturbed(take: Callable[[int], float], disturbed: SettingAside) -> NDArray[np.float64]:
    """A round of values, each by its index; disturbed ones taken again for a while."""
    values = np.empty(PAIRS_PER_ROUND)
    repeats = 0
    for index in range(PAIRS_PER_ROUND):
        while True:
            before = disturbed.watch.look()
            values[index] = take(index)
            found = disturbed.watch.between(before, disturbed.watch.look())
            if not disturbed.sets_aside(found, repeats):
                break
            repeats += 1
    return values


def _time_blocks(invoke: Invoke, clocks: Clocks, disturbed: SettingAside) -> NDArray[np.float64]:
    (alone_ns,) = warm_up(invoke, clocks.work).inference_ns
    inference_ns = time_in_block(invoke, alone_ns, clocks.work)
    repeats = repeats_in_block(inference_ns, MIN_BLOCK_NS)
    return _undisturbed(lambda _: time_block(invoke, repeats, clocks.work), disturbed)


def _time_pairs(
    candidate: Invoke, reference: Invoke, plan: _Plan, clocks: Clocks, disturbed: SettingAside
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A round of ratios, and what the reference took in each."""
    reference_times_ns = np.empty(PAIRS_PER_ROUND)

    def ratio(pair: int) -> float:
        if pair % 2 == 0:
            candidate_ns = time_block(candidate, plan.candidate_repeats, clocks.work)
            reference_ns = time_block(reference, plan.reference_repeats, clocks.work)
        else:
            reference_ns = time_block(reference, plan.reference_repeats, clocks.work)
            candidate_ns = time_block(candidate, plan.candidate_repeats, clocks.work)
        reference_times_ns[pair] = reference_ns
        return candidate_ns / reference_ns

    return _undisturbed(ratio, disturbed), reference_times_ns


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
