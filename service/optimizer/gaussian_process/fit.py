"""Fits hyperparameters: the maximum of their posterior.

Priors of the lengthscales are those of [Hvarfner2024], whose median grows with the square root
of the number of axes. Without a trend the maximum is taken over the lengthscales themselves, over
which the prior is a density: it then lies at short lengthscales, where every axis counts until
it proves not to. (Over their logarithms nearly all axes are declared irrelevant after a
handful of trials in twenty dimensions, and the search never gets to know them.) With a trend, whose
terms tell the main effects, the maximum is over the logarithms: what is left is smooth.

With many axes and few values neither can tell the axes apart: the maximum trusts whichever
axes chance favours, and is sure of what it does not know. Pooled lengthscales have a level of their
own, learnt from all axes together, and each axis has to show that it differs. How far it may is
heavy-tailed (Student's t): one axis along which the values oscillate is like no other.

[Hvarfner2024] C. Hvarfner, E. Hellsten, L. Nardi. Vanilla Bayesian Optimization Performs
    Great in High Dimensions. ICML 2024.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import scipy.linalg  # type: ignore[import-untyped]
import scipy.optimize  # type: ignore[import-untyped]

from service.optimizer.gaussian_process.bend import bent, slopes_by_bend
from service.optimizer.gaussian_process.covariance import (
    Array,
    Columns,
    Family,
    Hyperparameters,
    correlation,
    squared_distances,
)
from service.optimizer.gaussian_process.process import JITTER, GaussianProcess, Training

_LENGTHSCALE_DEVIATION = math.sqrt(3.0)
"""Of the logarithm."""

_OSCILLATING_WEIGHTS = (4.0, 6.0)
"""Logarithms: the lengthscale of one axis, 0.14 or 0.05 of it, along which values rise and fall."""

_LITTLE_NOISE = -6.0
"""Logarithm."""

NOISY_START = 1
"""Which of a likelihood's starts has a good deal of noise."""

_BEND_DEVIATION = 1.0
"""With two of these a change at one end of an axis is seven times as fast as at the other."""

_SHORT_WEIGHT = 5.0
"""Logarithm, of all axes together: values a few tenths apart tell little of each other."""

_BOUNDS = {
    "weight": (-14.0, 8.0),
    "signal": (-6.0, 6.0),
    "noise": (-18.4, 2.0),
    "trend": (-14.0, 4.0),
    "bend": (-6.0, 6.0),
}


@dataclass(frozen=True)
class Prior:
    """Normal distributions of the logarithms: centres and deviations.

    pooled: so many of the first, the axes' weights, share a level, from which the logarithm of each
    lies apart by a t-distributed difference, of three degrees of freedom and deviation 1: it is
    the level that has the centre and the deviation. The others are independent.
    """

    centre: Array
    deviation: Array
    pooled: int = 0

    def penalty(self, vector: Array) -> tuple[float, Array]:
        """The negative log density of a vector, up to a constant, and its gradient."""
        away = (vector - self.centre) / self.deviation
        slopes = away / self.deviation
        penalties = away**2
        if self.pooled:
            weights = vector[: self.pooled]
            apart = weights - weights.mean()
            level = float(away[: self.pooled].mean())
            # -2 log density of a t with three degrees of freedom, scaled to a variance of 1
            penalties[: self.pooled] = 4.0 * np.log1p(apart**2) + level**2 / self.pooled
            by_apart = 4.0 * apart / (1.0 + apart**2)
            slopes[: self.pooled] = (
                by_apart - by_apart.mean() + level / self.deviation[: self.pooled] / self.pooled
            )
        return 0.5 * float(penalties.sum()), slopes

    @classmethod
    def of(cls, family: Family, columns: Columns) -> "Prior":
        """The prior of a family over a search space of so many axes."""
        axes = columns.axes
        trends, bends = columns.term_count(family), columns.bend_count
        lengthscale = math.sqrt(2.0) + 0.5 * math.log(axes)  # of the logarithm
        if not family.has_trend and not family.is_pooled:
            lengthscale -= _LENGTHSCALE_DEVIATION**2  # the mode of a log-normal density
        # log weight = -2 log lengthscale
        centre = [-2.0 * lengthscale] * axes + [0.0, -8.0] + [-3.0] * trends + [0.0] * bends
        deviation = [2.0 * _LENGTHSCALE_DEVIATION] * axes + [0.5, 3.0] + [2.0] * trends
        deviation += [_BEND_DEVIATION] * bends
        return cls(np.array(centre), np.array(deviation), axes if family.is_pooled else 0)


class Likelihood:
    """The negative log posterior of hyperparameters given one metric's standardised values."""

    def __init__(self, family: Family, training: Training) -> None:
        self.family = family
        self.training = training
        self._trend = training.columns.terms(family, training.features)
        self._is_curved = training.columns.is_curved
        self._curved = training.features[:, self._is_curved]

    def minimise(self, prior: Prior, start: Array, iterations: int) -> tuple[Array, float]:
        """The best vector that L-BFGS-B finds from `start`, and its negative log posterior."""
        found = scipy.optimize.minimize(
            self.negative_log_posterior,
            start,
            args=(prior,),
            jac=True,
            method="L-BFGS-B",
            bounds=self._bounds(),
            options={"maxiter": iterations},
        )
        return found.x, float(found.fun)

    def negative_log_posterior(self, vector: Array, prior: Prior) -> tuple[float, Array]:
        """Value and gradient [Rasmussen2006, 5.9]; matrix products alone, no n x n x axes."""
        axes = self.training.columns.axes
        given = Hyperparameters.of(self.family, self.training.columns, vector)
        weights = np.exp(given.log_weights)[self.training.columns.axis]
        signal, noise = math.exp(given.log_signal_variance), math.exp(given.log_noise_variance)
        trends = np.exp(given.log_trend_variances)
        features = self.training.features.copy()
        features[:, self._is_curved] = bent(self._curved, given.bends)
        scaled = features * np.sqrt(weights)
        value, slope = correlation(self.family, squared_distances(scaled, scaled))
        covariance = signal * value + (self._trend * np.append(1.0, trends)) @ self._trend.T
        n = len(self.training.values)
        covariance[np.diag_indices(n)] += self.training.noise.variances(noise) + JITTER
        factor, failed = scipy.linalg.lapack.dpotrf(covariance, lower=1)
        if failed:
            return 1e10, np.zeros_like(vector)
        inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=1)
        inverse += inverse.T  # its upper half was 0
        inverse[np.diag_indices(n)] *= 0.5
        solved = inverse @ self.training.values
        fit = 0.5 * float(self.training.values @ solved) + float(np.log(np.diag(factor)).sum())
        # d log likelihood / d covariance = change / 2
        change = np.outer(solved, solved) - inverse
        pull = change * slope * signal
        # summed over all pairs of points: half the pull times each column's change of the distance
        pulls, pulled = pull.sum(axis=1), pull @ features
        by_column = weights * (pulls @ features**2 - np.einsum("ij,ij->j", features, pulled))
        turn = slopes_by_bend(self._curved, given.bends)
        by_bend = pulls @ (features[:, self._is_curved] * turn)
        by_bend -= np.einsum("ij,ij->j", turn, pulled[:, self._is_curved])
        by_bend *= 2.0 * weights[self._is_curved]
        by_weight = np.bincount(self.training.columns.axis, by_column, axes)
        by_signal = 0.5 * signal * float((change * value).sum())
        of_repeats, by_noise = self.training.noise.log_density_of_repeats(noise)
        by_noise += 0.5 * float(np.diag(change) @ self.training.noise.by_log(noise))
        terms = self._trend[:, 1:]
        by_trend = (
            0.5 * trends * ((solved @ terms) ** 2 - np.einsum("ij,ij->j", terms, inverse @ terms))
        )
        gradient = -np.concatenate([by_weight, [by_signal, by_noise], by_trend, by_bend])
        unlikely, slopes = prior.penalty(vector)
        return fit - of_repeats + unlikely, gradient + slopes

    def one_axis_short(self, prior: Prior, noisy: Array, best: Array) -> Array | None:
        """The likeliest of the vectors as `noisy` with one axis short instead of the noise.

        None if none is likelier than `best`. Values that oscillate along one axis look like noise
        from wherever all are long: no climb leads out of there.
        """
        noise = self.training.columns.axes + 1
        found, least = None, self.negative_log_posterior(best, prior)[0]
        for axis, log_weight in product(range(prior.pooled), _OSCILLATING_WEIGHTS):
            one = noisy.copy()
            one[[axis, noise]] = log_weight, min(float(noisy[noise]), _LITTLE_NOISE)
            value, _ = self.negative_log_posterior(one, prior)
            if value < least:
                found, least = one, value
        return found

    def process(self, vector: Array) -> GaussianProcess:
        """The Gaussian process of some hyperparameters."""
        given = Hyperparameters.of(self.family, self.training.columns, vector)
        return GaussianProcess(given, self.training)

    def starts(self) -> list[Array]:
        """Where to climb from: next to no noise and trend, and a good deal of both.

        Where repeats tell of the noise: also from axes so short that there need not be any.
        """
        axes, trends = self.training.columns.axes, self.training.columns.term_count(self.family)
        bends = self.training.columns.bend_count
        weight = -2.0 * (math.sqrt(2.0) + 0.5 * math.log(axes) - 1.0)
        starts = [(weight, -9.0, -4.0), (weight, -4.0, -1.0)]
        if self.training.noise.has_repeats:
            starts.append((_SHORT_WEIGHT - math.log(axes), _BOUNDS["noise"][0], -4.0))
        return [
            np.array([weight] * axes + [0.0, noise] + [trend] * trends + [0.0] * bends)
            for weight, noise, trend in starts
        ]

    def _bounds(self) -> list[tuple[float, float]]:
        axes, trends = self.training.columns.axes, self.training.columns.term_count(self.family)
        return [
            *[_BOUNDS["weight"]] * axes,
            _BOUNDS["signal"],
            _BOUNDS["noise"],
            *[_BOUNDS["trend"]] * trends,
            *[_BOUNDS["bend"]] * self.training.columns.bend_count,
        ]


MeanAndScale = tuple[float, float]


def standardised(means: npt.NDArray[np.float64]) -> MeanAndScale:
    """The mean and the deviation (1 where there is none) by which values are standardised."""
    deviation = float(means.std())
    return float(means.mean()), deviation if deviation > 0 and math.isfinite(deviation) else 1.0
