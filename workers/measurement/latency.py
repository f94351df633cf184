"""Times a network against a fixed reference network, in interleaved pairs and fresh sessions.

A neighbour's load slows both networks of a pair alike, so that their ratio stands still where
either time alone wanders. What remains between two runs is where each session's weights came to
lie in memory: each round therefore loads both networks anew, and rounds are what the standard
error is taken over (`statistics.estimate_quantile`). Whichever is loaded or timed second has a
small advantage: the two take turns at it, by rounds and by pairs. Networks that do not fit into a
core's own caches are quicker the longer they have been running, so that whichever comes second in a
pair is slower, by a tenth and more: two successive pairs, in opposite orders, make one ratio.

A neighbour on the core's other thread, or in the cache that it shares, slows the two by unlike
factors, for seconds at a time. Rounds in which the reference itself was slow are therefore left
out, and a measurement goes on for some seconds also where its first second leaves no doubt, so that
it sees calm ones (decision 0017).

A pair during which the core was away, throttled or clocked anew is set aside and timed again, but
not for ever: where that goes on, the pairs are counted as they are, and it is told how many.
"""

import gc
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workers.measurement.disturbance import Disturbance, KernelWatch, Watch
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

PAIRS_PER_ROUND = 8

SINGLE_RUNS = 662
"""Aimed at for the quantiles of wall time: so many hold a run beyond the 99th percentile with a
probability of 99.87 % (1 - 0.99 ** 662)."""

_FEWEST_SINGLE_RUNS = 4  # in a round, however slow the network
_SHARE_FOR_SINGLE_RUNS = 0.25  # of the time limit
_SHARE_FOR_REPEATS = 0.5  # of the time limit; later on no pair is set aside
_IN_VAIN = 0.75  # of all pairs so far disturbed: to repeat one takes time from the others
_NOISY = 0.1

_SPAN_S, _SHARE_FOR_SPAN = 6.0, 1 / 3  # slow states were seen to last 2 to 5 s
_SLOW = 1.25  # times as long as in the quicker rounds: orders within a pair differ by half as much
_QUICKER = 0.2  # of all rounds

Load: TypeAlias = Callable[[int], Invoke]
"""Loads a network afresh for the round of this index."""


MOST_REPEATS_IN_ROUND = PAIRS_PER_ROUND
"""So many pairs of a round are set aside at most, and of all rounds as many as `min_pairs`, and
none once half the time limit is over, or where hardly a pair is left alone."""


@dataclass(frozen=True)
class DisturbedPairs:
    """pairs: so many; and how many of them each disturbance befell, maybe one of them several."""

    pairs: int
    preempted: int
    waited: int
    stolen: int
    throttled: int
    clock_changed: int


NO_PAIRS = DisturbedPairs(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class PairTimings:
    """R rounds of m pairs, the first r of them with s single runs each.

    ratios: R x m, candidate over reference, of the work clock; of two successive pairs of a round
        the first has the candidate first, the second the reference.
    reference_ns: R x m, of the reference's inferences by the same clock.
    wall_ns: r x s, wall time of single inferences of the candidate.
    candidate_repeats, reference_repeats: inferences in one timed block.
    unsettled_rounds: those whose warm-up ended before the ratio had settled.
    watched: what would have been noticed.
    set_aside: pairs timed again; counted: pairs that were disturbed and count nevertheless.
    ended_by: "confidence" if the interval was narrow enough, else "time_limit".
    """

    ratios: NDArray[np.float64]
    reference_ns: NDArray[np.float64]
    wall_ns: NDArray[np.float64]
    candidate_repeats: int
    reference_repeats: int
    warm_up_runs: int
    unsettled_rounds: int
    watched: tuple[Disturbance, ...]
    set_aside: DisturbedPairs
    counted: DisturbedPairs
    ended_by: Literal["confidence", "time_limit"]

    @property
    def is_noisy(self) -> bool:
        """Whether so many of the pairs that count were disturbed that the figure may be off."""
        return self.counted.pairs > _NOISY * self.ratios.size

    @property
    def slow_rounds(self) -> int:
        """How many rounds are left out because the reference itself was slow: see `calm_rounds`."""
        return int((~calm_rounds(self.reference_ns)).sum())

    def median_ratio(self, seed: int) -> QuantileEstimate:
        """The median of the `crossed` ratios of calm rounds; n: of their pairs."""
        return _median_ratio(self.ratios[calm_rounds(self.reference_ns)], seed)


def calm_rounds(reference_ns: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of each of R rounds, whether the reference took about as long as in the quicker ones.

    reference_ns: R x m.
    """
    each = np.exp(np.log(reference_ns).mean(axis=1))
    calm: NDArray[np.bool_] = each <= _SLOW * np.quantile(each, _QUICKER)
    return calm


def crossed(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """R x m / 2: geometric means of two successive pairs, which are of opposite orders.

    The orders' ratios lie on both sides of the true one, so that the median of all would fall into
    the gap between them, anywhere. Where rounds are of one pair they stay as they are.
    """
    if ratios.shape[1] == 1:
        return ratios
    means: NDArray[np.float64] = np.sqrt(ratios[:, 0::2] * ratios[:, 1::2])
    return means


def _median_ratio(ratios: NDArray[np.float64], seed: int) -> QuantileEstimate:
    return replace(estimate_quantile(crossed(ratios), 0.5, seed), n=ratios.size)


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
    watch: Watch | None = None,
) -> PairTimings:
    """Rounds of pairs until the median ratio's 95 % interval is within +-`relative_ci` of it.

    `min_pairs` are always taken; beyond them, no round begins after `time_limit_s`.
    span_s: it ends no earlier (None: after some seconds, or a part of the time limit).
    watch: None takes the kernel's word for what disturbs this thread.
    """
    start_ns = clocks.wall()
    fewest_rounds = math.ceil(min_pairs / PAIRS_PER_ROUND)
    if span_s is None:
        span_s = min(_SPAN_S, _SHARE_FOR_SPAN * time_limit_s)
    rounds: list[NDArray[np.float64]] = []
    reference_ns: list[NDArray[np.float64]] = []
    wall_ns: list[NDArray[np.float64]] = []
    warm_up_runs = unsettled_rounds = 0
    plan: _Plan | None = None
    disturbed = _Disturbed(
        watch or KernelWatch(clocks.threads),
        most_repeats=min_pairs,
        may_repeat=lambda: clocks.wall() - start_ns < _SHARE_FOR_REPEATS * time_limit_s * 1e9,
    )
    while True:
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
        calm = calm_rounds(np.stack(reference_ns))
        narrow = (
            calm.sum() >= fewest_rounds
            and _median_ratio(np.stack(rounds)[calm], seed).relative_half_width <= relative_ci
        )
        if narrow or spent_s >= time_limit_s:
            return PairTimings(
                ratios=np.stack(rounds),
                reference_ns=np.stack(reference_ns),
                wall_ns=np.stack(wall_ns),
                candidate_repeats=plan.candidate_repeats,
                reference_repeats=plan.reference_repeats,
                warm_up_runs=warm_up_runs,
                unsettled_rounds=unsettled_rounds,
                watched=disturbed.watched,
                set_aside=disturbed.set_aside(),
                counted=disturbed.counted(),
                ended_by="confidence" if narrow else "time_limit",
            )


def time_alone(
    load: Load, clocks: Clocks, seed: int, rounds: int = 16, watch: Watch | None = None
) -> QuantileEstimate:
    """Median work time of one inference in nanoseconds, in fresh sessions, of nothing beside it.

    Blocks that are disturbed are set aside and timed again, up to as many as count.
    """
    times = np.empty((rounds, PAIRS_PER_ROUND))
    disturbed = _Disturbed(watch or KernelWatch(clocks.threads), most_repeats=times.size)
    for index in range(rounds):
        with _no_collection():
            times[index] = _time_blocks(load(index), clocks, disturbed)
    return estimate_quantile(times, 0.5, seed)


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


class _Disturbed:
    """Counts disturbed pairs, and says which of them are to be timed again."""

    def __init__(
        self, watch: Watch, most_repeats: int, may_repeat: Callable[[], bool] = lambda: True
    ) -> None:
        self.watch = watch
        self._left = most_repeats
        self._may_repeat = may_repeat
        self._looks = 0
        self._set_aside: list[tuple[Disturbance, ...]] = []
        self._counted: list[tuple[Disturbance, ...]] = []

    @property
    def watched(self) -> tuple[Disturbance, ...]:
        return self.watch.watched

    def sets_aside(self, found: tuple[Disturbance, ...], repeats_in_round: int) -> bool:
        """Whether a pair that this befell is to be timed again."""
        self._looks += 1
        if not found:
            return False
        again = (
            self._left > 0
            and repeats_in_round < MOST_REPEATS_IN_ROUND
            and not self._is_in_vain()
            and self._may_repeat()
        )
        self._left -= again
        (self._set_aside if again else self._counted).append(found)
        return again

    def _is_in_vain(self) -> bool:
        disturbed = len(self._set_aside) + len(self._counted)
        return self._looks > PAIRS_PER_ROUND and disturbed > _IN_VAIN * self._looks

    def set_aside(self) -> DisturbedPairs:
        return _summed_up(self._set_aside)

    def counted(self) -> DisturbedPairs:
        return _summed_up(self._counted)


def _summed_up(pairs: list[tuple[Disturbance, ...]]) -> DisturbedPairs:
    counts = Counter(one for found in pairs for one in found)
    return DisturbedPairs(
        pairs=len(pairs),
        preempted=counts["preempted"],
        waited=counts["waited"],
        stolen=counts["stolen"],
        throttled=counts["throttled"],
        clock_changed=counts["clock_changed"],
    )


def _undisturbed(take: Callable[[int], float], disturbed: _Disturbed) -> NDArray[np.float64]:
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


def _time_blocks(invoke: Invoke, clocks: Clocks, disturbed: _Disturbed) -> NDArray[np.float64]:
    (alone_ns,) = warm_up(invoke, clocks.work).inference_ns
    inference_ns = time_in_block(invoke, alone_ns, clocks.work)
    repeats = repeats_in_block(inference_ns, MIN_BLOCK_NS)
    return _undisturbed(lambda _: time_block(invoke, repeats, clocks.work), disturbed)


def _time_pairs(
    candidate: Invoke, reference: Invoke, plan: _Plan, clocks: Clocks, disturbed: _Disturbed
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
