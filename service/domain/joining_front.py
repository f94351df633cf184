"""The probability that a trial under way ends on the front."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.domain.experiment import ExperimentSpec
from service.domain.feasibility import is_feasible
from service.domain.learning_curves import EndForecast
from service.domain.measurement import Measurement
from service.domain.pareto import is_non_dominated, oriented
from service.domain.trial import Trial

_DRAWS = 4096
_SEED = 0  # equal draws for equal questions: an answer that wobbles would stop by chance


def front_of(trials: Sequence[Trial], spec: ExperimentSpec) -> NDArray[np.float64]:
    """The observed front, one row per trial, every objective turned so that larger is better."""
    measured = [trial.measurements for trial in trials if is_feasible(trial, spec)]
    points = oriented(spec.objectives, measured)
    return points[is_non_dominated(points)]


def probability_of_joining(
    spec: ExperimentSpec,
    front: NDArray[np.float64],
    measured: Mapping[str, Measurement],
    forecasts: Mapping[str, EndForecast],
) -> float | None:
    """The probability that no trial of `front` dominates it, and that it meets its bounds.

    front: as `front_of` gives it.
    A metric is what was measured, with its noise, or else its forecast; metrics err independently.
    An objective's threshold is a bound, as outcome constraints are. A constraint on a metric that
    is neither measured nor forecast is taken as met. None: that is so of an objective, and nothing
    can be told. Drawn with a fixed seed.
    """
    draws = np.random.default_rng(_SEED)
    columns = []
    possible = np.ones(_DRAWS, dtype=np.bool_)
    drawn: dict[str, NDArray[np.float64]] = {}
    for objective in spec.objectives:
        values = _draw(draws, objective.metric, measured, forecasts)
        if values is None:
            return None
        drawn[objective.metric] = values
        columns.append(objective.sign * values)
        if objective.threshold is not None:
            possible &= objective.sign * values > objective.sign * objective.threshold
    for constraint in spec.outcome_constraints:
        values = drawn.get(constraint.metric)
        if values is None:
            values = _draw(draws, constraint.metric, measured, forecasts)
        if values is not None:
            met = (
                values <= constraint.bound if constraint.op == "<=" else values >= constraint.bound
            )
            possible &= met
    points = np.stack(columns, axis=1)
    for better in front:
        possible &= ~((better >= points).all(axis=1) & (better > points).any(axis=1))
    return float(possible.mean())


def _draw(
    draws: np.random.Generator,
    metric: str,
    measured: Mapping[str, Measurement],
    forecasts: Mapping[str, EndForecast],
) -> NDArray[np.float64] | None:
    found = measured.get(metric)
    if found is not None:
        return found.mean + (found.sem or 0.0) * draws.standard_normal(_DRAWS)
    forecast = forecasts.get(metric)
    if forecast is None:
        return None
    return forecast.mean + forecast.scale * draws.standard_t(forecast.freedom, _DRAWS)
