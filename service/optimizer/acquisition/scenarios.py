"""Draws the scenarios of a history: what is pending or noisy takes a sampled value in each."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from service.domain.objective import Objective, OutcomeConstraint
from service.domain.pareto import is_non_dominated
from service.optimizer.acquisition.improvement import HypervolumeImprovement
from service.optimizer.acquisition.scenario import Acquisition, Bound, Scenario, World
from service.optimizer.encoding import Rows
from service.optimizer.gaussian_process.covariance import Array
from service.optimizer.surrogate import FEASIBILITY, MEMBERS, MetricSurrogate, Surrogate

_NOISY_ABOVE = 1e-3
"""Uncertainty of a measured arm, in deviations of the metric, from which noise is simulated."""
_MAX_CONTENDERS = 24


class ScenarioDraws:
    """Scenarios given a surrogate, the goals, and the arms under way.

    reference: the objectives' thresholds in their own units.
    is_feasible: which of the surrogate's arms may stand on the front.
    contenders: those (by number) that noise may hold on or off it; none where nothing is noisy.
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
            [
                sign * surrogate.metrics[metric].standardised(reference[metric])
                for metric, sign in self._objectives
            ]
        )
        self._is_feasible = is_feasible
        self._rng = rng
        self.contenders = self._find_contenders()

    def acquisition(self, pending: Rows, boldness: float) -> Acquisition:
        """The acquisition function while `pending` (rows) are under way."""
        awaited = self._surrogate.encoding.features(pending)
        sampled = np.vstack([self._surrogate.features[self.contenders], awaited])
        worlds = {
            metric: self._worlds(model, sampled)
            for metric, model in self._surrogate.metrics.items()
        }
        weights = self._distinct(worlds)
        scenarios = [
            self._scenario(
                {metric: found[n] for metric, found in worlds.items()}, sampled, boldness
            )
            for n in weights
        ]
        return Acquisition(scenarios, list(weights.values()))

    def _worlds(self, model: MetricSurrogate, sampled: Array) -> list[World]:
        """One world per member; those of one process differ in their values at `sampled`."""
        worlds: dict[int, World] = {}
        for member in {id(one): one for one in model.members}.values():
            places = [n for n, other in enumerate(model.members) if other is member]
            if len(sampled):
                mean, covariance = member.joint(sampled)
                drawn = self._sample(mean, covariance, len(places))
                process = member.given(sampled, drawn)
                worlds |= {place: World(process, n) for n, place in enumerate(places)}
            else:
                worlds |= {place: World(member, 0) for place in places}
        return [worlds[n] for n in range(len(model.members))]

    def _distinct(self, worlds: Mapping[str, Sequence[World]]) -> dict[int, float]:
        """The scenarios that differ from each other, with how often each comes."""
        keys = [
            tuple((id(found[n].process), found[n].number) for found in worlds.values())
            for n in range(MEMBERS)
        ]
        return {keys.index(key): float(keys.count(key)) for key in dict.fromkeys(keys)}

    def _scenario(self, worlds: Mapping[str, World], sampled: Array, boldness: float) -> Scenario:
        points = np.vstack([self._surrogate.features, sampled])
        values = {
            metric: process.warp.values(process.predict_worlds(points)[0][number])
            for metric, (process, number) in worlds.items()
        }
        may_stand = np.append(self._is_feasible, np.ones(len(sampled), dtype=bool))
        may_stand[self.contenders] = False  # they stand among the sampled ones
        for bound in self._bounds:
            may_stand &= bound.sign * values[bound.metric] <= bound.sign * bound.bound
        front = np.stack([sign * values[metric] for metric, sign in self._objectives], axis=1)
        return Scenario(
            worlds,
            self._objectives,
            self._bounds,
            HypervolumeImprovement(front[may_stand], self._reference),
            boldness,
        )

    def _sample(self, mean: Array, covariance: Array, count: int) -> Array:
        """`count` joint draws, one per column."""
        variances, directions = np.linalg.eigh(covariance)
        spread = np.sqrt(np.maximum(variances, 0.0))[:, np.newaxis]
        drawn: Array = mean[:, np.newaxis] + directions @ (
            spread * self._rng.normal(size=(len(mean), count))
        )
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

    def _bound(self, constraint: OutcomeConstraint) -> Bound:
        sign = 1 if constraint.op == "<=" else -1
        model = self._surrogate.metrics[constraint.metric]
        return Bound(constraint.metric, sign, model.standardised(constraint.bound))
