"""What a problem is: legal arms, objectives with thresholds, and the truth about every arm."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from service.domain.measurement import Measurement
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.pareto import Points, oriented


@dataclass(frozen=True)
class Problem:
    """One benchmark problem.

    objectives: each with a threshold; the thresholds are the hypervolume's reference point.
    true_values: every metric of an arm, free of noise and deterministic.
    noise_sd: metric -> standard deviation of the noise that an evaluation adds; the optimizer is
        told it as the measurement's sem. A metric left out is exact and comes without a sem.
    known_sems: the sems of metrics whose values were themselves measured (a table's).
    is_high_dimensional: whether the stricter bar of the result table applies.
    """

    name: str
    description: str
    space: ParameterSpace
    objectives: tuple[Objective, ...]
    true_values: Callable[[Arm], dict[str, float]]
    outcome_constraints: tuple[OutcomeConstraint, ...] = ()
    noise_sd: Mapping[str, float] = field(default_factory=dict)
    known_sems: Callable[[Arm], dict[str, float]] | None = None
    is_high_dimensional: bool = False

    @property
    def reference_point(self) -> NDArray[np.float64]:
        """The thresholds, oriented so that every coordinate is to be maximised.

        Raises: ValueError if an objective has no threshold.
        """
        missing = [o.metric for o in self.objectives if o.threshold is None]
        if missing:
            raise ValueError(f"{self.name}: {missing} have no threshold; give each objective one")
        return np.array([o.sign * (o.threshold or 0.0) for o in self.objectives])

    def evaluate(self, arm: Arm, seed: int = 0, repeat: int = 0) -> dict[str, Measurement]:
        """What the arm's trial number `repeat` measures; equal for equal arguments.

        Raises: ValueError if the arm lies outside the space.
        """
        problems = self.space.problems_with(arm.parameters)
        if problems:
            raise ValueError(f"{self.name}: the arm lies outside the space: {problems}")
        values = self.true_values(arm)
        sems = self.known_sems(arm) if self.known_sems is not None else {}
        drawn_from = (seed, int(arm.signature[:16], 16), *([repeat] if repeat else []))
        rng = np.random.default_rng(drawn_from)
        measured = {}
        for metric, value in values.items():
            sd = self.noise_sd.get(metric)
            noisy = value if sd is None else value + sd * float(rng.standard_normal())
            measured[metric] = Measurement(mean=noisy, sem=sems.get(metric) if sd is None else sd)
        return measured

    def true_point(self, arm: Arm) -> Points | None:
        """The arm's true objectives, to be maximised (m); None if it breaks a constraint."""
        values = self.true_values(arm)
        if not all(c.holds(values[c.metric]) for c in self.outcome_constraints):
            return None
        exact = {metric: Measurement(mean=value) for metric, value in values.items()}
        point: Points = oriented(self.objectives, [exact])[0]
        if not all(math.isfinite(coordinate) for coordinate in point):
            raise ValueError(f"{self.name}: {arm.parameters} gave {values}; values must be finite")
        return point
