"""Draws the scenarios of a history: what is pending or noisy takes a sampled value in each."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from service.domain.objective import Objective, OutcomeConstraint
from service.domain.pareto import is_non_dominated
from service.optimizer.acquisition.improvement import HypervolumeImprovement
from service.optimizer.acquisition.scenario import Acquisition, Bound, Scenario
from service.optimizer.encoding import Rows
from service.optimizer.gaussian_process.process import Array, GaussianProcess
from service.optimizer.surrogate import FEASIBILITY, MEMBERS, Surrogate

_NOISY_ABOVE = 1e-3
"""Uncertainty of a measured arm, in deviations of the metric, from which noise is simulated."""
_MAX_CONTENDERS = 24


class ScenarioDraws:
    """Scenarios given a surrogate, the goals, and the arms under way.

    reference: the objectives' thresholds in their own units.
    is_feasible: which of the surrogate's arms may stand on the front.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        *,
        objectives: Sequence[Objective],
        constraints: Sequence[OutcomeConstraint],
        reference: Mapping[str, float],
        is_feasible: npt.NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> None:
        self._surrogate = surrogate
        self._objectives = [(objective.metric, objective.sign) for objective in objectives]
        self._bounds = [self._bound(constraint) for constraint in constraints]
        if FEASIBILITY in surrogate.metrics:
            self._bounds.append(Bound(FEASIBILITY, -1, 0.0))
        self._reference = np.array(
            [sign * self._standard(metric, reference[metric]) for metric, sign in self._objectives]
        )
        self._is_feasible = is_feasible
        self._rng = rng
        self._contenders = self._find_contenders()

    def acquisition(self, pending: Rows) -> Acquisition:
        """The acquisition function while `pending` (rows) are under way."""
        encoding = self._surrogate.encoding
        awaited = encoding.features(pending)
        sampled = np.vstack([self._surrogate.features[self._contenders], awaited])
        models = self._surrogate.metrics.values()
        worlds = [tuple(id(model.members[n]) for model in models) for n in range(MEMBERS)]
        if len(sampled):  # each draws other values
            return Acquisition([self._draw(n, sampled) for n in range(MEMBERS)])
        unique = {world: n for n, world in enumerate(worlds)}
        weights = [worlds.count(world) for world in unique]
        return Acquisition([self._draw(n, sampled) for n in unique.values()], weights)

    def _draw(self, member: int, sampled: Array) -> Scenario:
        processes: dict[str, GaussianProcess] = {}
        values: dict[str, Array] = {}
        measured: dict[str, Array] = {}
        for metric, model in self._surrogate.metrics.items():
            process = model.members[member]
            measured[metric], _ = process.predict(self._surrogate.features)
            values[metric] = np.empty(0)
            if len(sampled):
                mean, covariance = process.joint(sampled)
                values[metric] = self._sample(mean, covariance)
                process = process.given(sampled, values[metric])
            processes[metric] = process
        known = np.array([sign * measured[metric] for metric, sign in self._objectives]).T
        drawn = np.array([sign * values[metric] for metric, sign in self._objectives]).T
        may_stand = self._is_feasible.copy()
        may_stand[self._contenders] = False  # they take their drawn value
        meets = np.ones(len(sampled), dtype=bool)
        for bound in self._bounds:
            may_stand &= bound.sign * measured[bound.metric] <= bound.sign * bound.bound
            meets &= bound.sign * values[bound.metric] <= bound.sign * bound.bound
        front = np.vstack([known[may_stand], drawn[meets]])
        return Scenario(
            processes,
            self._objectives,
            self._bounds,
            HypervolumeImprovement(front, self._reference),
        )

    def _sample(self, mean: Array, covariance: Array) -> Array:
        variances, directions = np.linalg.eigh(covariance)
        spread = np.sqrt(np.maximum(variances, 0.0)) * self._rng.normal(size=len(mean))
        drawn: Array = mean + directions @ spread
        return drawn

    def _find_contenders(self) -> npt.NDArray[np.intp]:
        """Measured arms that noise may hold on or off the front; none where there is no noise."""
        features = self._surrogate.features
        means, deviations = [], []
        for metric, sign in self._objectives:
            model = self._surrogate.metrics[metric]
            mean, deviation = model.predict(features)
            means.append(sign * (mean - model.centre) / model.scale)
            deviations.append(deviation / model.scale)
        mean, deviation = np.array(means).T, np.array(deviations).T
        usable = np.flatnonzero(self._is_feasible)
        if len(usable) == 0 or np.median(deviation[usable]) < _NOISY_ABOVE:
            return np.empty(0, dtype=np.intp)
        hopeful = mean[usable] + deviation[usable]
        front = mean[usable][is_non_dominated(mean[usable])]
        beaten = np.array([np.any(np.all(front > point, axis=1)) for point in hopeful])
        contenders: npt.NDArray[np.intp] = usable[~beaten][:_MAX_CONTENDERS]
        return contenders

    def _standard(self, metric: str, value: float) -> float:
        model = self._surrogate.metrics[metric]
        return (value - model.centre) / model.scale

    def _bound(self, constraint: OutcomeConstraint) -> Bound:
        sign = 1 if constraint.op == "<=" else -1
        return Bound(constraint.metric, sign, self._standard(constraint.metric, constraint.bound))
