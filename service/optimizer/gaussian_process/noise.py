"""What is known of the noise of a metric's values, beside the level that a fit learns.

A value may be the mean of several measurements of one arm. Their distances from it tell the noise
alone, whatever the process makes of the arms: without them a process takes what it cannot follow
for noise, and an arm would be measured again and again.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Of n values.

    known: variances of the values, beside the learnt one. counts: of how many measurements each
    is the mean; infinite for a value of the function itself. squares: the measurements' squared
    distances from it, summed.
    """

    known: Array
    counts: Array
    squares: Array

    @classmethod
    def none(cls, n: int) -> "Noise":
        """Of n single values, of which no noise is known."""
        return cls(np.zeros(n), np.ones(n), np.zeros(n))

    @property
    def has_repeats(self) -> bool:
        """Whether any value was measured more than once."""
        return bool(self._is_mean.any())

    @property
    def _is_mean(self) -> npt.NDArray[np.bool_]:
        return (self.counts > 1) & np.isfinite(self.counts)

    def with_exact(self, n: int) -> "Noise":
        """And n more values that are the function's own."""
        return Noise(
            np.concatenate([self.known, np.zeros(n)]),
            np.concatenate([self.counts, np.full(n, np.inf)]),
            np.concatenate([self.squares, np.zeros(n)]),
        )

    def some(self, kept: npt.NDArray[np.intp]) -> "Noise":
        """Of these values only."""
        return Noise(self.known[kept], self.counts[kept], self.squares[kept])

    def variances(self, learnt: float) -> Array:
        """Of the values (n); learnt: the variance of one measurement."""
        variances: Array = self.known + learnt / self.counts
        return variances

    def by_log(self, learnt: float) -> Array:
        """The derivative of `variances` (n) by the logarithm of what is learnt."""
        slopes: Array = learnt / self.counts
        return slopes

    def log_density_of_repeats(self, learnt: float) -> tuple[float, float]:
        """Of the repeats given their means, and its derivative by the logarithm of `learnt`."""
        if not self.has_repeats:
            return 0.0, 0.0
        is_mean = self._is_mean
        counts, squares = self.counts[is_mean], self.squares[is_mean]
        variances = learnt + counts * self.known[is_mean]
        shares = squares / variances
        density = -0.5 * float(((counts - 1) * np.log(2.0 * np.pi * variances) + shares).sum())
        slope = -0.5 * float(((counts - 1 - shares) * learnt / variances).sum())
        return density, slope
