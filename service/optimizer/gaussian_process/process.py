"""A Gaussian process with fixed hyperparameters, conditioned on measurements.

Everything is standardised: one unit is the standard deviation of the measured means, or of their
logarithms where these are modelled (`warp.py`).

[Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.linalg  # type: ignore[import-untyped]

from service.optimizer.gaussian_process.bend import bent, slopes_by_feature
from service.optimizer.gaussian_process.covariance import (
    Array,
    Columns,
    Hyperparameters,
    correlation,
    squared_distances,
)
from service.optimizer.gaussian_process.noise import Noise
from service.optimizer.gaussian_process.warp import UNWARPED, Warp

JITTER = 1e-9
"""Variance added to each point, so that the covariance stays positive definite."""

_LEAST_VARIANCE = 1e-12


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
