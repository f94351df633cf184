"""How far a metric is expected to lie beyond a threshold, exactly and in logarithms.

Of a normal metric E[(y - a)+]; of one whose logarithm is normal the prices of a call and a put
[Black1973], with the share of the uncertainty that the search counts on for a volatility.

[Black1973] F. Black, M. Scholes. The Pricing of Options and Corporate Liabilities. Journal of
    Political Economy 81.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, log_ndtr  # type: ignore[import-untyped]

from service.optimizer.gaussian_process.warp import Warp

Array = npt.NDArray[np.float64]

_LOG_ROOT_2_PI = 0.5 * np.log(2.0 * np.pi)
_FAR_BELOW = -1e4
"""Deviations from which an asymptotic formula stands in for the normal's excess."""
_FAR_BELOW_MILLS = -100.0
"""Deviations from which a series tells the ratio, before the difference loses its digits."""
_LEAST = 1e-9
"""A threshold at the floor of a logarithm, or below it, counts as so far above."""
_LEAST_VOLATILITY = 1e-5
"""Deviation of a logarithm that none falls below."""
_CLOSEST = 1e-15
"""Of a logarithm: nothing is expected quite without excess."""


class Marginal(NamedTuple):
    """What is believed of an objective, alone: mean and deviation of what is modelled of it.

    sign: +1 if more of it is better.
    """

    warp: Warp
    sign: int
    mean: Array
    deviation: Array


class Term(NamedTuple):
    """sign * exp(log), which may be too small for a float."""

    sign: int
    log: Array


class Slopes(NamedTuple):
    """Of an expectation, not of its logarithm: sums of terms, by mean and by deviation."""

    by_mean: tuple[Term, ...]
    by_deviation: tuple[Term, ...]


def log_excess(believed: Marginal, thresholds: Array) -> Array:
    """The logarithm of E[(sign * y - threshold)+], broadcast.

    thresholds: of sign * y, in standardised units.
    """
    warp, sign, mean, deviation = believed
    if warp.floor is None:
        normal: Array = np.log(deviation) + _log_h((sign * mean - thresholds) / deviation)
        return normal
    log_strike, score, volatility = _in_logarithms(believed, thresholds - sign * warp.floor)
    log_chance = log_ndtr(score)
    near = log_strike + log_chance
    ratio = _log_mills_ratio(score, sign * volatility, log_chance)
    if sign < 0:
        put: Array = near + np.log(-np.expm1(np.minimum(ratio, -_CLOSEST)))
        return put
    ratio = np.maximum(ratio, _CLOSEST)
    call = near + ratio + np.log(-np.expm1(-ratio))
    # beyond a threshold below the floor lies what is between them as well, for sure
    with np.errstate(divide="ignore"):
        total: Array = np.logaddexp(call, np.log(np.maximum(warp.floor - thresholds, 0.0)))
    return total


def slopes_of_excess(believed: Marginal, thresholds: Array) -> Slopes:
    """The derivatives of E[(sign * y - threshold)+] by mean and deviation of what is modelled."""
    warp, sign, mean, deviation = believed
    if warp.floor is None:
        score = (sign * mean - thresholds) / deviation
        density = -0.5 * score**2 - _LOG_ROOT_2_PI
        return Slopes((Term(sign, log_ndtr(score)),), (Term(1, density),))
    log_strike, score, volatility = _in_logarithms(believed, thresholds - sign * warp.floor)
    density = log_strike - 0.5 * score**2 - _LOG_ROOT_2_PI + np.log(warp.scale)
    end = score + sign * volatility
    expected = warp.centre + warp.scale * mean + 0.5 * volatility**2 + np.log(warp.scale)
    # the same twice: each is exact where the other's parts cancel
    forward = np.where(
        end > 0, expected + log_ndtr(end), density + _log_mills(np.minimum(end, 0.0))
    )
    # below the least volatility it makes no difference
    density = np.where(volatility > _LEAST_VOLATILITY, density, -np.inf)
    by_volatility = Term(1, density), Term(sign, forward + np.log(volatility))
    return Slopes((Term(sign, forward),), by_volatility)


def _in_logarithms(believed: Marginal, above_floor: Array) -> tuple[Array, Array, Array]:
    """Logarithm of the threshold above the floor, deviations from it, and one deviation."""
    warp, sign, mean, deviation = believed
    volatility = np.maximum(warp.scale * deviation, _LEAST_VOLATILITY)
    log_strike = np.log(np.maximum(sign * above_floor, _LEAST))
    score = sign * (warp.centre + warp.scale * mean - log_strike) / volatility
    return log_strike, score, volatility


def _log_mills(x: Array) -> Array:
    """log(Phi(x) / phi(x)) for x <= 0."""
    values: Array = np.log(np.sqrt(np.pi / 2.0) * erfcx(-x / np.sqrt(2.0)))
    return values


def _log_mills_ratio(x: Array, step: Array, log_x: Array) -> Array:
    """log(Phi / phi) at x + step less that at x, also where the two are next to the same.

    log_x: log Phi(x).
    """
    end = x + step
    direct = step * (x + 0.5 * step) + log_ndtr(end) - log_x
    # far below, Phi / phi at x is next to (1 - 1 / x^2) / -x
    far = np.minimum(x, -1.0)
    by_series = -np.log1p(np.maximum(step / far, -0.5)) + 1.0 / far**2 - 1.0 / (far + step) ** 2
    values: Array = np.where(np.maximum(x, end) < _FAR_BELOW_MILLS, by_series, direct)
    return values


def _log_h(score: Array) -> Array:
    """log(phi(z) + z Phi(z)): the standard normal's expected excess over -z, for any z."""
    near = np.maximum(score, _FAR_BELOW)
    # phi + z Phi = phi (1 + z Phi / phi), Phi / phi = sqrt(pi / 2) erfcx(-z / sqrt 2)
    falling = np.minimum(near, 0.0)
    ratio = np.sqrt(np.pi / 2.0) * erfcx(-falling / np.sqrt(2.0))
    below = -0.5 * falling**2 - _LOG_ROOT_2_PI + np.log1p(falling * ratio)
    rising = np.maximum(near, 0.0)
    density = np.exp(-0.5 * rising**2 - _LOG_ROOT_2_PI)
    above = np.log(density + rising * np.exp(log_ndtr(rising)))
    far = -0.5 * score**2 - _LOG_ROOT_2_PI - 2.0 * np.log(np.maximum(-score, 1.0))
    values: Array = np.where(score < _FAR_BELOW, far, np.where(near < 0, below, above))
    return values
