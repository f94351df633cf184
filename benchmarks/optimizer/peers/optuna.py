"""Optuna's samplers with their defaults: TPE, Gaussian process, NSGA-II."""

import warnings
from collections.abc import Mapping
from typing import cast

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import Trial

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

_SAMPLERS: dict[str, type[TPESampler] | type[GPSampler] | type[NSGAIISampler]] = {
    "tpe": TPESampler,
    "gp": GPSampler,
    "nsga2": NSGAIISampler,
}


class OptunaPeer:
    """A multi-objective study, asked and told.

    Its samplers take neither thresholds nor sems. Ordered choices are searched by their
    position, which tells Optuna as much of their order as the others know.
    """

    version = f"optuna {optuna.__version__}"

    def __init__(self, problem: Problem, sampler: str, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self._problem = problem
        made: BaseSampler = _SAMPLERS[sampler](seed=seed)
        self._study = optuna.create_study(
            directions=[objective.goal for objective in problem.objectives], sampler=made
        )
        self._trial: Trial | None = None

    def ask(self) -> Arm:
        """The sampler's next trial."""
        trial = self._trial = self._study.ask()
        parameters = self._problem.space.parameters
        return self._problem.space.canonical({p.name: _suggested(trial, p) for p in parameters})

    def tell(self, arm: Arm, measured: Mapping[str, Measurement]) -> None:  # noqa: ARG002
        """Ends the trial with the objectives' means and by how much it breaks constraints."""
        if self._trial is None:
            raise RuntimeError("tell before ask; ask for a trial first")
        for number, constraint in enumerate(self._problem.outcome_constraints):
            excess = measured[constraint.metric].mean - constraint.bound
            self._trial.set_constraint(
                f"constraint_{number}", excess if constraint.op == "<=" else -excess
            )
        values = [measured[objective.metric].mean for objective in self._problem.objectives]
        self._study.tell(self._trial, values)


def _suggested(trial: Trial, parameter: Parameter) -> ParameterValue:
    if parameter.when is not None:
        raise ValueError(f"{parameter.name} is conditional; the peers' problems are flat")
    if isinstance(parameter, FixedParameter):
        return parameter.value
    if isinstance(parameter, BoolParameter):
        return bool(trial.suggest_categorical(parameter.name, [False, True]))
    if isinstance(parameter, ChoiceParameter):
        if parameter.is_ordered:
            position = trial.suggest_int(parameter.name, 0, len(parameter.values) - 1)
            return parameter.values[position]
        return cast(ParameterValue, trial.suggest_categorical(parameter.name, parameter.values))
    log = parameter.scale == "log"
    if isinstance(parameter, FloatParameter):
        return trial.suggest_float(
            parameter.name, parameter.low, parameter.high, log=log, step=parameter.step
        )
    return trial.suggest_int(
        parameter.name, parameter.low, parameter.high, log=log, step=parameter.step
    )
