"""A Gaussian process with fixed hyperparameters, conditioned on measurements.

The covariance is a stationary kernel with one weight per axis (automatic relevance), over axes
whose scales are learnt (`bend.py`), and, if asked for, a quadratic trend: Legendre polynomials of
first and second degree per axis, with a weight each, integrated out [Rasmussen2006, 2.7]. Main
effects that hold over the whole space are learnt from few points by the trend, what is left by the
kernel.

Everything is standardised: one unit is the standard deviation of the measured means, or of their
logarithms where these are modelled (`warp.py`).

[Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.linalg  # type: ignore[import-untyped]

from service.optimizer.gaussian_process.bend import bent, slopes_by_feature
from service.optimizer.gaussian_process.noise import Noise
from service.optimizer.gaussian_process.warp import UNWARPED, Warp

Array = npt.NDArray[np.float64]

JITTER = 1e-9
"""Variance added to each point, so that the covariance stays positive definite."""

_LEAST_VARIANCE = 1e-12


class Family(NamedTuple):
    """The form of a covariance function: the kernel, and which terms of a trend stand beside it.

    is_pooled: the axes' lengthscales are expected to lie near a common one, which is learnt.
    """

    kernel: Literal["rbf", "matern52"]
    has_trend: bool
    has_sources: bool = False
    is_pooled: bool = False


@dataclass(frozen=True)
class Columns:
    """What the feature columns stand for.

    axis: of every column the axis it belongs to. is_curved: which take a quadratic trend and have a
    scale that is learnt (`bend.py`), the others only tell levels apart.
    sources: processes of the same metric elsewhere, whose means may be terms of the trend.
    """

    axis: npt.NDArray[np.intp]
    is_curved: npt.NDArray[np.bool_]
    sources: "tuple[GaussianProcess, ...]" = ()

    @property
    def axes(self) -> int:
        """Number of axes."""
        return int(self.axis.max()) + 1 if len(self.axis) else 0

    @property
    def bend_count(self) -> int:
        """How many columns have a scale that is learnt."""
        return int(np.count_nonzero(self.is_curved))

    def bends(self, curved: Array) -> Array:
        """The bend of every column (c), given those of the curved ones."""
        bends = np.zeros(len(self.axis))
        bends[self.is_curved] = curved
        return bends

    def term_count(self, family: Family) -> int:
        """How many terms the trend has besides its constant."""
        polynomials = len(self.axis) + self.bend_count
        return polynomials * family.has_trend + len(self.sources) * family.has_sources

    def terms(self, family: Family, features: Array) -> Array:
        """N x (1 + p): a constant, the polynomials of every column, the means of the sources."""
        terms = [np.ones((len(features), 1))]
        if family.has_trend:
            centred = 2.0 * features - 1.0
            terms += [centred, 1.5 * centred[:, self.is_curved] ** 2 - 0.5]
        if family.has_sources:
            terms += [source.predict(features)[0][:, np.newaxis] for source in self.sources]
        return np.hstack(terms)

    def term_slopes(self, family: Family, point: Array) -> Array:
        """(1 + p) x c: the derivatives of the terms at one point (c) by its coordinates."""
        c = len(point)
        slopes = [np.zeros((1, c))]
        if family.has_trend:
            # d (1.5 t^2 - 0.5) / d x with t = 2 x - 1
            curved = np.diag(6.0 * (2.0 * point - 1.0))[self.is_curved]
            slopes += [2.0 * np.eye(c), curved]
        if family.has_sources:
            slopes += [
                source.predict_with_gradient(point)[2][np.newaxis] for source in self.sources
            ]
        return np.vstack(slopes)


@dataclass(frozen=True)
class Hyperparameters:
    """In natural logarithms, but for the bends.

    weights: inverse squared lengthscales, one per axis. bends: one per curved column.
    """

    family: Family
    log_weights: Array
    log_signal_variance: float
    log_noise_variance: float
    log_trend_variances: Array
    bends: Array

    @property
    def vector(self) -> Array:
        """All of them in one row, in the order of the fields."""
        scales = [self.log_signal_variance, self.log_noise_variance]
        return np.concatenate([self.log_weights, scales, self.log_trend_variances, self.bends])

    @classmethod
    def of(cls, family: Family, columns: Columns, vector: Array) -> "Hyperparameters":
        """The inverse of `vector`."""
        axes, bends = columns.axes, len(vector) - columns.bend_count
        signal, noise = vector[axes : axes + 2].tolist()
        return cls(family, vector[:axes], signal, noise, vector[axes + 2 : bends], vector[bends:])


def correlation(family: Family, squared: Array) -> tuple[Array, Array]:
    """The kernel at squared scaled distances, and its derivative by them."""
    if family.kernel == "rbf":
        values = np.exp(-0.5 * squared)
        return values, -0.5 * values
    root = np.sqrt(5.0 * squared)
    decay = np.exp(-root)
    return (1.0 + root + root * root / 3.0) * decay, (-5.0 / 6.0) * (1.0 + root) * decay


def squared_distances(one: Array, other: Array) -> Array:
    """Between every row of `one` (n) and of `other` (m), n x m; rows are scaled already."""
    lengths = (one * one).sum(axis=1)[:, np.newaxis] + (other * other).sum(axis=1)
    squared: Array = np.maximum(lengths - 2.0 * one @ other.T, 0.0)
    return squared


def _factorised(covariance: Array) -> Array:
    """The lower Cholesky factor, with as much more jitter as it takes."""
    scale = float(np.diag(covariance).mean())
    for jitter in (0.0, 1e-10, 1e-8, 1e-6, 1e-4):
        covariance[np.diag_indices(len(covariance))] += jitter * scale
        factor, failed = scipy.linalg.lapack.dpotrf(covariance, lower=1)
        if not failed:
            return np.asarray(factor)
    raise np.linalg.LinAlgError("the covariance of the measured arms is not positive definite")


def _in_columns(values: Array, like: Array) -> Array:
    """`values` repeated, one column for each of `like`; as they are if `like` has no columns."""
    if like.ndim == 1:
        return values
    return np.repeat(values.reshape(len(values), -1), like.shape[1], axis=1)


@dataclass(frozen=True)
class Training:
    """What a process is conditioned on.

    features: n x c. values: n, as the warp has them modelled; or n x k, one column for each of k
    possible worlds.
    """

    columns: Columns
    features: Array
    values: Array
    noise: Noise
    warp: Warp = UNWARPED

    def some(self, kept: npt.NDArray[np.intp]) -> "Training":
        """With these points only."""
        return replace(
            self,
            features=self.features[kept],
            values=self.values[kept],
            noise=self.noise.some(kept),
        )

    def given(self, features: Array, values: Array) -> "Training":
        """With the function's own values (p, or p x k) at some more points."""
        return replace(
            self,
            features=np.vstack([self.features, features]),
            values=np.concatenate([_in_columns(self.values, values), values]),
            noise=self.noise.with_exact(len(values)),
        )


class GaussianProcess:
    """The posterior given values at points, with fixed hyperparameters.

    Their noise is added to what is known of each value's own.
    """

    def __init__(self, hyperparameters: Hyperparameters, training: Training) -> None:
        self.hyperparameters = hyperparameters
        self.training = training
        self.columns = training.columns
        self.warp = training.warp
        features, values = training.features, training.values
        self._scales = np.exp(0.5 * hyperparameters.log_weights)[self.columns.axis]
        self._signal = float(np.exp(hyperparameters.log_signal_variance))
        self._bends = self.columns.bends(hyperparameters.bends)
        self._scaled = self._scaled_at(features)
        self._trend_weights = np.append(1.0, np.exp(hyperparameters.log_trend_variances))
        self._trend = self._trend_of(features) * self._trend_weights
        covariance = self._covariance(features)
        noise = training.noise.variances(float(np.exp(hyperparameters.log_noise_variance)))
        covariance[np.diag_indices(len(values))] += noise + JITTER
        self._factor = _factorised(covariance)
        self._solved = self._solve(values.reshape(len(values), -1))  # n x worlds

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (each q) of the function at q points."""
        means, deviation = self.predict_worlds(features)
        return means[0], deviation

    def predict_worlds(self, features: Array) -> tuple[Array, Array]:
        """The means in every world (k x q) and the deviation (q), which is the same in all."""
        cross = self._covariance(features)
        root = self._half_solve(cross)
        variance = self._prior_variance(features) - np.einsum("ij,ij->j", root, root)
        return self._solved.T @ cross, np.sqrt(np.maximum(variance, _LEAST_VARIANCE))

    def predict_with_gradient(self, point: Array) -> tuple[float, float, Array, Array]:
        """Mean, standard deviation and their gradients (each c) at one point (c)."""
        means, deviation, mean_slopes, deviation_slope = self.predict_worlds_with_gradient(point)
        return float(means[0]), deviation, mean_slopes[0], deviation_slope

    def predict_worlds_with_gradient(self, point: Array) -> tuple[Array, float, Array, Array]:
        """Means (k), deviation, and their gradients (k x c, and c) at one point (c)."""
        features = point[np.newaxis]
        scaled = self._scaled_at(features)
        squared = squared_distances(self._scaled, scaled)
        value, slope = correlation(self.hyperparameters.family, squared)
        trend = self._trend_of(features)
        cross = self._signal * value[:, 0] + self._trend @ trend[0]
        solved = self._solve(cross[:, np.newaxis])[:, 0]
        prior = self._signal + float(trend[0] ** 2 @ self._trend_weights)
        deviation = float(np.sqrt(max(prior - float(cross @ solved), _LEAST_VARIANCE)))
        # all gradients are weighted sums of d cross / d point over the n points
        weights = np.vstack([self._solved.T, -solved / deviation])
        pulls = weights * (2.0 * self._signal * slope[:, 0])
        gradients = pulls.sum(axis=1)[:, np.newaxis] * scaled - pulls @ self._scaled
        gradients *= self._scales * slopes_by_feature(point, self._bends)
        if len(self._trend_weights) > 1:
            by_term = weights @ self._trend
            by_term[-1] += trend[0] * self._trend_weights / deviation
            gradients += by_term @ self.columns.term_slopes(self.hyperparameters.family, point)
        return self._solved.T @ cross, deviation, gradients[:-1], gradients[-1]

    def joint(self, features: Array) -> tuple[Array, Array]:
        """Mean (q) and covariance (q x q) of the function at q points."""
        cross = self._covariance(features)
        root = self._half_solve(cross)
        covariance = self._covariance_between(features) - root.T @ root
        return self._solved[:, 0] @ cross, covariance

    def given(self, features: Array, values: Array) -> "GaussianProcess":
        """The posterior once the function's own values at some more points are known.

        values: p; or p x k, one column for each of k possible worlds.
        """
        return GaussianProcess(self.hyperparameters, self.training.given(features, values))

    def leave_one_out(self) -> float:
        """Sum of the log densities of each value given all the others [Rasmussen2006, 5.4.2].

        And that of the repeats given their means.
        """
        variance = 1.0 / np.diag(self._solve(np.eye(len(self._solved))))
        residual = self._solved[:, 0] * variance
        density = -0.5 * (np.log(2.0 * np.pi * variance) + residual**2 / variance)
        noise = math.exp(self.hyperparameters.log_noise_variance)
        return float(density.sum()) + self.training.noise.log_density_of_repeats(noise)[0]

    def _solve(self, columns: Array) -> Array:
        """The inverse covariance times `columns` (n x k); LAPACK without SciPy's wrapping."""
        solved, _ = scipy.linalg.lapack.dpotrs(self._factor, columns, lower=1)
        return np.asarray(solved)

    def _half_solve(self, columns: Array) -> Array:
        """The inverse of the Cholesky factor times `columns` (n x k)."""
        solved, _ = scipy.linalg.lapack.dtrtrs(self._factor, columns, lower=1)
        return np.asarray(solved)

    def _scaled_at(self, features: Array) -> Array:
        """The points on scales of which one unit is a lengthscale everywhere."""
        return bent(features, self._bends) * self._scales

    def _covariance(self, features: Array) -> Array:
        """N x q between the measured points and others."""
        squared = squared_distances(self._scaled, self._scaled_at(features))
        values, _ = correlation(self.hyperparameters.family, squared)
        covariance: Array = self._signal * values + self._trend @ self._trend_of(features).T
        return covariance

    def _covariance_between(self, features: Array) -> Array:
        scaled, trend = self._scaled_at(features), self._trend_of(features)
        values, _ = correlation(self.hyperparameters.family, squared_distances(scaled, scaled))
        covariance: Array = self._signal * values + (trend * self._trend_weights) @ trend.T
        return covariance

    def _prior_variance(self, features: Array) -> Array:
        variance: Array = self._signal + self._trend_of(features) ** 2 @ self._trend_weights
        return variance

    def _trend_of(self, features: Array) -> Array:
        return self.columns.terms(self.hyperparameters.family, features)
