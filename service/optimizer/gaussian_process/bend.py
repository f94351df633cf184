"""Axes on a scale between their own and a logarithmic one, learnt from the values.

A bend of k takes x in [0, 1] to log(1 + (e^k - 1) x) / k in [0, 1]: k = 0 leaves it as it is,
k = log(high / low) makes a range's scale logarithmic, and a negative k does so from the other
end. What changes fast at one end of an axis and slowly at the other, as where a process dies out
or a resource begins to limit, is stationary on such a scale, as a stationary kernel takes it to be.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_STRAIGHT = 1e-4
"""Nearer to 0 a bend's own formula loses its digits; its series is exact enough."""


def bent(features: Array, bends: Array) -> Array:
    """Features (n x c, in [0, 1]) on the axes' scales; bends: c."""
    is_straight = np.abs(bends) < _STRAIGHT
    k = np.where(is_straight, 1.0, bends)
    line = features + 0.5 * bends * features * (1.0 - features)
    scaled: Array = np.where(is_straight, line, np.log1p(np.expm1(k) * features) / k)
    return scaled


def slopes_by_feature(features: Array, bends: Array) -> Array:
    """Of `bent`, by the feature (n x c)."""
    is_straight = np.abs(bends) < _STRAIGHT
    k = np.where(is_straight, 1.0, bends)
    growth = np.expm1(k)
    line = 1.0 + 0.5 * bends * (1.0 - 2.0 * features)
    slopes: Array = np.where(is_straight, line, growth / (k * (1.0 + growth * features)))
    return slopes


def slopes_by_bend(features: Array, bends: Array) -> Array:
    """Of `bent`, by the bend (n x c)."""
    is_straight = np.abs(bends) < _STRAIGHT
    k = np.where(is_straight, 1.0, bends)
    growth = np.expm1(k)
    curve = np.exp(k) * features / (1.0 + growth * features) - np.log1p(growth * features) / k
    slopes: Array = np.where(is_straight, 0.5 * features * (1.0 - features), curve / k)
    return slopes
