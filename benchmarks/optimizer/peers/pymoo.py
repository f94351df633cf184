"""pymoo's NSGA-II with a population of 20: its default of 100 would be the whole budget."""

import math
from collections import deque
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2, RankAndCrowdingSurvival  # type: ignore[import-untyped]
from pymoo.core.individual import Individual  # type: ignore[import-untyped]
from pymoo.core.mixed import MixedVariableGA  # type: ignore[import-untyped]
from pymoo.core.population import Population  # type: ignore[import-untyped]
from pymoo.core.problem import Problem as PymooProblem  # type: ignore[import-untyped]
from pymoo.core.variable import Choice, Integer, Real, Variable  # type: ignore[import-untyped]

from benchmarks.optimizer.problems.problem import Problem
from search_spaces.arm import Arm
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    FixedParameter,
    FloatParameter,
    Parameter,
    ParameterValue,
)
from service.domain.measurement import Measurement

POPULATION = 20


class PymooPeer:
    """NSGA-II over pymoo's mixed variables; pure NSGA-II where every parameter is a float.

    Log scales are searched as logarithms, ordered choices and stepped numbers by position. It
    takes neither thresholds nor sems; outcome constraints by its own feasibility rule.
    """

    version = f"pymoo {version('pymoo')}, population {POPULATION}"

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        searched = [p for p in problem.space.parameters if not isinstance(p, FixedParameter)]
        self._is_continuous = all(
            isinstance(p, FloatParameter) and p.step is None for p in searched
        )
        variables = {p.name: _variable(p) for p in searched}
        self._algorithm = (
            NSGA2(pop_size=POPULATION)
            if self._is_continuous
            else MixedVariableGA(pop_size=POPULATION, survival=RankAndCrowdingSurvival())
        )
        self._names = list(variables)
        self._definition = PymooProblem(
            n_obj=len(problem.objectives),
            n_ieq_constr=len(problem.outcome_constraints),
            **(
                {
                    "n_var": len(variables),
                    "xl": np.array([v.bounds[0] for v in variables.values()]),
                    "xu": np.array([v.bounds[1] for v in variables.values()]),
                }
                if self._is_continuous
                else {"vars": variables}
            ),
        )
        self._algorithm.setup(self._definition, termination=("n_gen", 10**9), seed=seed)
        self._generation: list[Individual] = []
        self._waiting: deque[Individual] = deque()

    def ask(self) -> Arm:
        """The next of the generation; a new generation once all of the last were told."""
        if not self._waiting:
            self._generation = list(self._algorithm.ask())
            self._waiting = deque(self._generation)
        chosen = self._waiting[0].X
        if self._is_continuous:
            chosen = dict(zip(self._names, chosen, strict=True))
        return self._problem.space.canonical(
            {p.name: _value(p, chosen.get(p.name)) for p in self._problem.space.parameters}
        )

    def tell(self, arm: Arm, measured: Mapping[str, Measurement]) -> None:  # noqa: ARG002
        """Keeps the values; the generation's last lets the algorithm go on."""
        individual = self._waiting.popleft()
        individual.F = np.array(
            [-o.sign * measured[o.metric].mean for o in self._problem.objectives]
        )
        individual.G = np.array(
            [
                (measured[c.metric].mean - c.bound) * (1 if c.op == "<=" else -1)
                for c in self._problem.outcome_constraints
            ]
        )
        individual.H = np.array([])
        individual.evaluated.update({"F", "G", "H"})
        if not self._waiting:
            self._algorithm.evaluator.n_eval += len(self._generation)
            self._algorithm.tell(infills=Population.create(*self._generation))


def _variable(parameter: Parameter) -> Variable:
    if parameter.when is not None:
        raise ValueError(f"{parameter.name} is conditional; the peers' problems are flat")
    if isinstance(parameter, ChoiceParameter) and not parameter.is_ordered:
        return Choice(options=list(parameter.values))
    if isinstance(parameter, FixedParameter | BoolParameter):
        return Choice(options=[False, True])
    if isinstance(parameter, ChoiceParameter):
        return Integer(bounds=(0, len(parameter.values) - 1))
    if parameter.scale == "log":
        return Real(bounds=(math.log(parameter.low), math.log(parameter.high)))
    if parameter.step is None:
        return Real(bounds=(parameter.low, parameter.high))
    return Integer(bounds=(0, round((parameter.high - parameter.low) / parameter.step)))


def _value(parameter: Parameter, chosen: Any) -> ParameterValue:
    if isinstance(parameter, FixedParameter):
        return parameter.value
    if isinstance(parameter, BoolParameter):
        return bool(chosen)
    if isinstance(parameter, ChoiceParameter):
        if parameter.is_ordered:
            return parameter.values[int(chosen)]
        return next(value for value in parameter.values if value == chosen)
    number = float(chosen)
    if parameter.scale == "log":
        number = min(max(math.exp(number), parameter.low), parameter.high)
    elif parameter.step is not None:
        number = parameter.low + number * parameter.step
    return number if isinstance(parameter, FloatParameter) else round(number)
