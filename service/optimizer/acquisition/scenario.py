"""Possible worlds: in each, one process per metric and the front that would stand in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr  # type: ignore[import-untyped]

from service.optimizer.acquisition.improvement import HypervolumeImprovement, log_sum
from service.optimizer.gaussian_process.process import Array, GaussianProcess


@dataclass(frozen=True)
class Bound:
    """sign * value <= sign * bound wanted of a metric, in standardised units."""

    metric: str
    sign: int
    bound: float


@dataclass(frozen=True)
class Scenario:
    """One draw of all that is unknown; independent of the next.

    objectives: metric and sign (+1 to be maximised), in the improvement's order.
    """

    processes: Mapping[str, GaussianProcess]
    objectives: Sequence[tuple[str, int]]
    bounds: Sequence[Bound]
    improvement: HypervolumeImprovement

    def log_values(self, features: Array) -> Array:
        """Log of expected improvement times probability of feasibility, at q points."""
        predicted = {name: gp.predict(features) for name, gp in self.processes.items()}
        means = np.stack([sign * predicted[name][0] for name, sign in self.objectives], axis=1)
        deviations = np.stack([predicted[name][1] for name, _ in self.objectives], axis=1)
        total = self.improvement.log_values(means, deviations)
        for bound in self.bounds:
            mean, deviation = predicted[bound.metric]
            total = total + log_ndtr(bound.sign * (bound.bound - mean) / deviation)
        return total

    def log_value_and_gradient(self, point: Array) -> tuple[float, Array]:
        """The same at one point (c), with its gradient."""
        predicted = {name: gp.predict_with_gradient(point) for name, gp in self.processes.items()}
        means = np.array([sign * predicted[name][0] for name, sign in self.objectives])
        deviations = np.array([predicted[name][1] for name, _ in self.objectives])
        total, by_mean, by_deviation = self.improvement.log_value_and_gradients(means, deviations)
        gradient = np.zeros(len(point))
        for number, (name, sign) in enumerate(self.objectives):
            _, _, mean_slope, deviation_slope = predicted[name]
            gradient += sign * by_mean[number] * mean_slope
            gradient += by_deviation[number] * deviation_slope
        for bound in self.bounds:
            mean, deviation, mean_slope, deviation_slope = predicted[bound.metric]
            score = bound.sign * (bound.bound - mean) / deviation
            log_probability = float(log_ndtr(score))
            total += log_probability
            by_score = np.exp(-0.5 * score**2 - 0.5 * np.log(2.0 * np.pi) - log_probability)
            gradient -= by_score * (bound.sign * mean_slope + score * deviation_slope) / deviation
        return total, gradient


class Acquisition:
    """The mean of all scenarios' values, by weight and in logarithms."""

    def __init__(self, scenarios: Sequence[Scenario], weights: Sequence[float] = ()) -> None:
        self.scenarios = scenarios
        given = np.array(weights or [1.0] * len(scenarios), dtype=np.float64)
        self._log_weights = np.log(given / given.sum())

    def log_values(self, features: Array) -> Array:
        """At q points (q x c)."""
        values = np.stack([scenario.log_values(features) for scenario in self.scenarios])
        return log_sum(values + self._log_weights[:, np.newaxis], axis=0)

    def log_value_and_gradient(self, point: Array) -> tuple[float, Array]:
        """At one point (c)."""
        found = [scenario.log_value_and_gradient(point) for scenario in self.scenarios]
        values = np.array([value for value, _ in found]) + self._log_weights
        total = float(log_sum(values, axis=0))
        return total, np.exp(values - total) @ np.stack([slope for _, slope in found])
