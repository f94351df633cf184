"""Between a metric's values and what its processes model: the values themselves or their logarithm.

Latency, size and error multiply what the parameters do: twice the layers at half the width. Their
logarithms add it up, which is learnt from fewer trials, and tell the small values apart that a
front is made of.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_RESOLUTION = 0.01
"""In deviations of the metric: logarithms are taken of what lies above 0, and so much more.

Values next to 0 would else be nearly all that the logarithms tell, however little they differ.
"""
_MAX_EXPONENT = 500.0
_LEAST_EXCESS = 1e-300
_LEAST_DEVIATION = 1e-6
"""In deviations of the metric: what the processes' own deviations do not fall below either."""


class Chance(NamedTuple):
    """A value and how far it may lie beyond it in one direction, with their slopes.

    value_slope: of the value by what is modelled. deviation_by_mean, deviation_by_deviation: of
    the deviation, by the modelled mean and by the modelled deviation.
    """

    value: Array
    deviation: Array
    value_slope: Array
    deviation_by_mean: Array
    deviation_by_deviation: Array


@dataclass(frozen=True)
class Warp:
    """value = modelled; or, with a floor: value = floor + exp(centre + scale * modelled).

    Values are standardised.
    """

    floor: float | None = None
    centre: float = 0.0
    scale: float = 1.0

    @classmethod
    def logarithm(cls, values: Array, zero: float) -> "Warp | None":
        """The one under which such values are standardised; None if any is negative.

        zero: what stands for 0 in the metric's own unit.
        """
        if np.any(values < zero):
            return None
        floor = zero - _RESOLUTION
        logarithms = np.log(values - floor)
        deviation = float(logarithms.std())
        if not deviation > 0:
            return None
        return cls(floor, float(logarithms.mean()), deviation)

    def modelled(self, values: Array) -> Array:
        """What is modelled of values; of one at the floor or below: far below all others."""
        if self.floor is None:
            return values
        excess = np.log(np.maximum(values - self.floor, _LEAST_EXCESS))
        found: Array = (excess - self.centre) / self.scale
        return found

    def values(self, modelled: Array) -> Array:
        """The inverse of `modelled`."""
        return modelled if self.floor is None else self.floor + self._excess(modelled)

    def slopes(self, modelled: Array) -> Array:
        """Of the values, by what is modelled."""
        if self.floor is None:
            return np.ones_like(modelled)
        return self.scale * self._excess(modelled)

    def log_slope(self, modelled: Array, counts: Array) -> float:
        """What turns the log density of all that is modelled into one of the values.

        counts: how often each was measured.
        """
        return -float(counts @ np.log(self.slopes(modelled)))

    def chance(self, mean: Array, deviation: Array, sign: int) -> Chance:
        """The value at the mean, and what a deviation more changes it in direction `sign`.

        Where the values are skewed, only that side decides whether an arm improves on another.
        """
        if self.floor is None:
            one, none = np.ones_like(mean), np.zeros_like(mean)
            return Chance(mean, deviation, one, none, one)
        excess = self._excess(mean)
        share = np.expm1(np.minimum(sign * self.scale * deviation, _MAX_EXPONENT))
        beyond = sign * excess * share
        is_told = beyond > _LEAST_DEVIATION
        return Chance(
            self.floor + excess,
            np.where(is_told, beyond, _LEAST_DEVIATION),
            self.scale * excess,
            np.where(is_told, self.scale * beyond, 0.0),
            np.where(is_told, self.scale * excess * (1.0 + share), 0.0),
        )

    def _excess(self, modelled: Array) -> Array:
        exponents = self.centre + self.scale * modelled
        found: Array = np.exp(np.clip(exponents, -_MAX_EXPONENT, _MAX_EXPONENT))
        return found


UNWARPED = Warp()
"""The values themselves are modelled."""
