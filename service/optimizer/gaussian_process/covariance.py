"""The form of a covariance, and its hyperparameters.

A stationary kernel with one weight per axis (automatic relevance), over axes whose scales are
learnt (`bend.py`), and, if asked for, a quadratic trend: Legendre polynomials of first and second
degree per axis, with a weight each, integrated out [Rasmussen2006, 2.7]. Main effects that hold
over the whole space are learnt from few points by the trend, what is left by the kernel.

[Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Family(NamedTuple):
    """The form of a covariance function: the kernel, and which terms of a trend stand beside it.

    is_pooled: the axes' lengthscales are expected to lie near a common one, which is learnt.
    """

    kernel: Literal["rbf", "matern52"]
    has_trend: bool
    has_sources: bool = False
    is_pooled: bool = False


class Predictor(Protocol):
    """What knows the metric from elsewhere."""

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (each q) at q points."""

    def predict_with_gradient(self, point: Array) -> tuple[float, float, Array, Array]:
        """Mean, standard deviation and their gradients (each c) at one point (c)."""


@dataclass(frozen=True)
class Columns:
    """What the feature columns stand for.

    axis: of every column the axis it belongs to. is_curved: which take a quadratic trend and have a
    scale that is learnt (`bend.py`), the others only tell levels apart.
    sources: of the same metric elsewhere, whose means may be terms of the trend.
    """

    axis: npt.NDArray[np.intp]
    is_curved: npt.NDArray[np.bool_]
    sources: tuple[Predictor, ...] = ()

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
