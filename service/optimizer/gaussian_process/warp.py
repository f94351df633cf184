"""Between a metric's values and what its processes model: the values themselves or their logarithm.

Latency, size and error multiply what the parameters do: twice the layers at half the width. Their
logarithms add it up, which is learnt from fewer trials, and tell the small values apart that a
front is made of.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_RESOLUTION = 0.01
"""In deviations of the metric: logarithms are taken of what lies above 0, and so much more.

Values next to 0 would else be nearly all that the logarithms tell, however little they differ.
"""
_MAX_EXPONENT = 500.0
_LEAST_EXCESS = 1e-300


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

    def _excess(self, modelled: Array) -> Array:
        exponents = self.centre + self.scale * modelled
        found: Array = np.exp(np.clip(exponents, -_MAX_EXPONENT, _MAX_EXPONENT))
        return found


UNWARPED = Warp()
"""The values themselves are modelled."""
