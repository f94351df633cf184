"""What the rounds of pairs say: which of them were calm, and the median ratio of those."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.measurement.calm_cores import on_calm_cores
from workers.measurement.disturbance import Disturbance
from workers.measurement.disturbed_pairs import DisturbedPairs
from workers.measurement.statistics import QuantileEstimate, estimate_quantile

_NOISY = 0.1
_SLOW = 1.15  # times as long as in the quicker rounds
_QUICKER = 0.2  # of all rounds
_SPELLS = 8  # or some more


@dataclass(frozen=True)
class PairTimings:
    """R rounds of m pairs, the first r of them with s single runs each.

    ratios: R x m, candidate over reference, of the work clock; of two successive pairs of a round
        the first has the candidate first, the second the reference.
    reference_ns: R x m, of the reference's inferences by the same clock.
    paces_ns: R, how slow the cores were (`workers.measurement.pace`); NaN where nobody knows.
    quickest_pace_ns: the quickest that the device is known to have had; NaN where nobody knows.
    fewest_rounds: so many at least were asked for.
    wall_ns: r x s, wall time of single inferences of the candidate.
    candidate_repeats, reference_repeats: inferences in one timed block.
    unsettled_rounds: those whose warm-up ended before the ratio had settled.
    watched: what would have been noticed.
    set_aside: pairs timed again; counted: pairs that were disturbed and count nevertheless.
    ended_by: "confidence" if the interval was narrow enough, else "time_limit".
    """

    ratios: NDArray[np.float64]
    reference_ns: NDArray[np.float64]
    paces_ns: NDArray[np.float64]
    quickest_pace_ns: float
    fewest_rounds: int
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
        """Whether the figure may be off.

        So it is with many disturbed pairs among those that count, or where too few rounds were on
        calm cores and slow ones had to count.
        """
        disturbed = self.counted.pairs > _NOISY * self.ratios.size
        return disturbed or int(self._on_calm_cores.sum()) < self.fewest_rounds

    @property
    def has_enough_calm_rounds(self) -> bool:
        """Whether as many rounds as were asked for are calm and count."""
        return int((self._on_calm_cores & self._that_count).sum()) >= self.fewest_rounds

    @property
    def slow_rounds(self) -> int:
        """How many rounds are left out: see `rounds_that_count`."""
        return int((~self._that_count).sum())

    @property
    def pace_ns(self) -> float:
        """The quickest round's; NaN where nobody knows."""
        return float(np.fmin.reduce(self.paces_ns))

    @property
    def median_reference_ns(self) -> float:
        """Of one inference of the reference, in the rounds that count."""
        return float(np.median(self.reference_ns[self._that_count]))

    @property
    def slow_core_rounds(self) -> int:
        """How many rounds were not on calm cores."""
        return int((~self._on_calm_cores).sum())

    def median_ratio(self, seed: int) -> QuantileEstimate:
        """The median of the `crossed` ratios of the rounds that count; n: of their pairs."""
        return median_ratio(self.ratios[self._that_count], seed)

    @property
    def _on_calm_cores(self) -> NDArray[np.bool_]:
        return on_calm_cores(self.paces_ns, self.quickest_pace_ns)

    @property
    def _that_count(self) -> NDArray[np.bool_]:
        return rounds_that_count(
            self.reference_ns, self.paces_ns, self.quickest_pace_ns, self.fewest_rounds
        )


def rounds_that_count(
    reference_ns: NDArray[np.float64],
    paces_ns: NDArray[np.float64],
    quickest_pace_ns: float,
    fewest_rounds: int,
) -> NDArray[np.bool_]:
    """Of each of R rounds, whether it was calm, or as good as there are.

    The rounds on calm cores count, or where these are too few, those on the calmest; of them, those
    in which the reference took about as long as in the quicker ones.

    reference_ns: R x m. paces_ns: R.
    """
    chosen = on_calm_cores(paces_ns, quickest_pace_ns)
    if chosen.sum() < fewest_rounds:
        chosen = on_calm_cores(paces_ns, float(np.sort(paces_ns)[:fewest_rounds][-1]))
    each = np.exp(np.log(reference_ns).mean(axis=1))
    that_count: NDArray[np.bool_] = chosen & (each <= _SLOW * np.quantile(each[chosen], _QUICKER))
    return that_count


def crossed(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """R x m / 2: geometric means of two successive pairs, which are of opposite orders.

    The orders' ratios lie on both sides of the true one, so that the median of all would fall into
    the gap between them, anywhere. Where rounds are of one pair they stay as they are.
    """
    if ratios.shape[1] == 1:
        return ratios
    means: NDArray[np.float64] = np.sqrt(ratios[:, 0::2] * ratios[:, 1::2])
    return means


def median_ratio(ratios: NDArray[np.float64], seed: int) -> QuantileEstimate:
    """The median of the `crossed` ratios, and its error over spells of successive rounds.

    What a machine is like changes by seconds, not by rounds: rounds that follow one another are no
    independent draws. So that the error knows, some of them together are one.

    ratios: R x m. Gives n: of the pairs.
    """
    each = crossed(ratios)
    together = max(1, len(each) // _SPELLS)
    spells = each[: len(each) // together * together].reshape(-1, together * each.shape[1])
    estimate = estimate_quantile(spells, 0.5, seed)
    return replace(estimate, value=float(np.median(each)), n=ratios.size)
