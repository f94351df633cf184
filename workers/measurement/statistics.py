"""Quantiles of timings taken in rounds, with standard errors that hold between runs.

Timings of one round share what the round was dealt (the place of weights in memory, a neighbour's
load), so they are not independent: the bootstrap draws rounds first, then timings within each
(two-stage cluster bootstrap [Davison1997, section 3.8]). On the machines tried, an error computed
from the timings alone came out three to five times too small.

[Abramowitz1964] Abramowitz, Stegun: Handbook of Mathematical Functions. 1964.
[Davison1997] Davison, Hinkley: Bootstrap Methods and their Application. Cambridge, 1997.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000

_Z_95 = 1.959964  # half the width of a normal distribution's central 95 %, in deviations
_VALUES_AT_ONCE = 4_000_000  # resampled values held in memory at a time


@dataclass(frozen=True)
class QuantileEstimate:
    """A quantile of n timings in so many rounds, and its bootstrap standard error.

    Both in the timings' unit.
    """

    value: float
    sem: float
    n: int
    rounds: int

    @property
    def relative_half_width(self) -> float:
        """Half the width of the 95 % confidence interval, as a share of the value.

        By Student's t, for a standard error from few rounds is itself uncertain.
        """
        return half_width_95(self.sem, self.rounds - 1) / abs(self.value) if self.value else np.inf


def half_width_95(sem: float, degrees_of_freedom: int) -> float:
    """Half the width of Student's central 95 %; with no degree of freedom the normal one's.

    By the first terms of an expansion in 1 / degrees of freedom [Abramowitz1964, 26.7.5]: 1 % too
    narrow with four, exact to 0.1 % from nine on.
    """
    n = degrees_of_freedom
    if n < 1:
        return _Z_95 * sem
    z = _Z_95
    wider = (
        (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
    return (z + wider) * sem


def estimate_quantile(
    rounds: NDArray[np.float64], quantile: float, seed: int, resamples: int = RESAMPLES
) -> QuantileEstimate:
    """The `quantile` (0.5: the median) of all timings of all rounds, and its standard error.

    rounds: R x m finite timings, one row for each round. With R = 1 the rows tell nothing of
        what differs between rounds and the bootstrap is the plain one over timings.
    Linear interpolation between order statistics, as numpy's default. Deterministic in `seed`.
    Raises: ValueError if there are no timings, or any is not finite.
    """
    values = np.asarray(rounds, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"rounds must be R x m with at least one timing, not {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("every timing must be finite; leave out those that failed")
    random = np.random.default_rng(seed)
    round_count, per_round = values.shape
    replicates = np.empty(resamples)
    chunk = max(1, _VALUES_AT_ONCE // values.size)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn_rounds = random.integers(0, round_count, (count, round_count, 1))
        drawn_timings = random.integers(0, per_round, (count, round_count, per_round))
        drawn = values[drawn_rounds, drawn_timings].reshape(count, -1)
        replicates[start : start + count] = np.quantile(drawn, quantile, axis=1)
    return QuantileEstimate(
        value=float(np.quantile(values, quantile)),
        sem=float(replicates.std(ddof=1)) if resamples > 1 else 0.0,
        n=values.size,
        rounds=round_count,
    )
