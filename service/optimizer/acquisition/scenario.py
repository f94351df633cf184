"""Possible worlds: in each, one process per metric and the front that would stand in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr  # type: ignore[import-untyped]

from service.optimizer.acquisition.excess import Marginal, log_excess, slopes_of_excess
from service.optimizer.acquisition.improvement import HypervolumeImprovement, log_sum
from service.optimizer.gaussian_process.covariance import Array
from service.optimizer.gaussian_process.process import GaussianProcess


@dataclass(frozen=True)
class Bound:
    """sign * value <= sign * bound wanted of a metric, in standardised units."""

    metric: str
    sign: int
    bound: float


class World(NamedTuple):
    """One of the worlds of a process."""

    process: GaussianProcess
    number: int


Predicted = tuple[Array, Array]
Sloped = tuple[Array, float, Array, Array]


@dataclass(frozen=True)
class Scenario:
    """One draw of all that is unknown; independent of the next.

    worlds: of every metric. objectives: metric and sign (+1 to be maximised), in the
    improvement's order. boldness: share of the uncertainty that counts as a chance; below 1 the
    search keeps nearer to what is known.
    """

    worlds: Mapping[str, World]
    objectives: Sequence[tuple[str, int]]
    bounds: Sequence[Bound]
    improvement: HypervolumeImprovement
    boldness: float = 1.0

    def log_values(self, predicted: Mapping[int, Predicted]) -> Array:
        """Log of expected improvement times probability of feasibility, at q points.

        predicted: means (k x q) and deviations (q) by the identity of the process.
        """

        def of(metric: str) -> Predicted:
            process, number = self.worlds[metric]
            means, deviation = predicted[id(process)]
            return means[number], deviation

        excesses = []
        for edges, (name, sign) in zip(self.improvement.edges, self.objectives, strict=True):
            means, deviations = (values[:, np.newaxis] for values in of(name))
            excesses.append(log_excess(self._believed(name, sign, means, deviations), edges))
        total = self.improvement.log_values(excesses)
        for bound in self.bounds:
            mean, deviation = of(bound.metric)
            total = total + log_ndtr(bound.sign * (self._modelled(bound) - mean) / deviation)
        return total

    def log_value_and_gradient(self, predicted: Mapping[int, Sloped]) -> tuple[float, Array]:
        """The same at one point, with its gradient (c).

        predicted: means (k), deviation, and their gradients (k x c, and c).
        """

        def of(metric: str) -> tuple[float, float, Array, Array]:
            process, number = self.worlds[metric]
            means, deviation, mean_slopes, deviation_slope = predicted[id(process)]
            return float(means[number]), deviation, mean_slopes[number], deviation_slope

        found = [of(name) for name, _ in self.objectives]
        believed = [
            self._believed(name, sign, np.array(mean), np.array(deviation))
            for (name, sign), (mean, deviation, *_) in zip(self.objectives, found, strict=True)
        ]
        each = list(zip(believed, self.improvement.edges, strict=True))
        excesses = [log_excess(one, edges) for one, edges in each]
        slopes = [slopes_of_excess(one, edges) for one, edges in each]
        total, by_parts = self.improvement.log_value_and_slopes(excesses, slopes)
        gradient = np.zeros(len(found[0][2]))
        for (by_mean, by_deviation), (_, _, mean_slope, slope) in zip(by_parts, found, strict=True):
            gradient += by_mean * mean_slope + self.boldness * by_deviation * slope
        for bound in self.bounds:
            mean, deviation, mean_slope, slope = of(bound.metric)
            score = bound.sign * (self._modelled(bound) - mean) / deviation
            log_probability = float(log_ndtr(score))
            total += log_probability
            by_score = np.exp(-0.5 * score**2 - 0.5 * np.log(2.0 * np.pi) - log_probability)
            gradient -= by_score * (bound.sign * mean_slope + score * slope) / deviation
        return total, gradient

    def _believed(self, metric: str, sign: int, mean: Array, deviation: Array) -> Marginal:
        warp = self.worlds[metric].process.warp
        return Marginal(warp, sign, mean, self.boldness * deviation)

    def _modelled(self, bound: Bound) -> float:
        return float(self.worlds[bound.metric].process.warp.modelled(np.array(bound.bound)))


class Acquisition:
    """The mean of all scenarios' values, by weight and in logarithms."""

    def __init__(self, scenarios: Sequence[Scenario], weights: Sequence[float] = ()) -> None:
        self._scenarios = scenarios
        given = np.array(weights or [1.0] * len(scenarios), dtype=np.float64)
        self._log_weights = np.log(given / given.sum())
        # scenarios share processes, and each is asked once per point
        self._processes = {
            id(world.process): world.process
            for scenario in scenarios
            for world in scenario.worlds.values()
        }

    def log_values(self, features: Array) -> Array:
        """At q points (q x c)."""
        predicted = {key: one.predict_worlds(features) for key, one in self._processes.items()}
        values = np.stack([scenario.log_values(predicted) for scenario in self._scenarios])
        return log_sum(values + self._log_weights[:, np.newaxis], axis=0)

    def log_value_and_gradient(self, point: Array) -> tuple[float, Array]:
        """At one point (c), with the gradient (c)."""
        predicted = {
            key: one.predict_worlds_with_gradient(point) for key, one in self._processes.items()
        }
        found = [scenario.log_value_and_gradient(predicted) for scenario in self._scenarios]
        values = np.array([value for value, _ in found]) + self._log_weights
        total = float(log_sum(values, axis=0))
        return total, np.exp(values - total) @ np.stack([slope for _, slope in found])
