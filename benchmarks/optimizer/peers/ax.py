"""Ax's own client with its default strategy: centre, four Sobol points, then modular BoTorch."""

import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Literal, cast

import torch
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

from benchmarks.optimizer.problems.problem import Problem
from search_spaces.arm import Arm
from search_spaces.parameters import (
    BoolParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from service.domain.measurement import Measurement


class AxPeer:
    """`ax.api.client.Client` with `method="fast"` and nothing else set but the seed.

    Thresholds are given as outcome constraints on the objectives, as Ax wants its reference
    point. It is told sems where the problem has noise, else bare means.
    """

    version = f"ax-platform {version('ax-platform')}"

    def __init__(self, problem: Problem, seed: int) -> None:
        logging.getLogger("ax").setLevel(logging.ERROR)
        torch.set_num_threads(1)
        self._problem = problem
        self._client = Client(random_seed=seed)
        self._client.configure_experiment(
            name=problem.name,
            parameters=[_config(parameter) for parameter in problem.space.parameters],
            parameter_constraints=[str(constraint) for constraint in problem.space.constraints],
        )
        self._client.configure_optimization(
            objective=", ".join(
                f"{'-' if objective.sign < 0 else ''}{objective.metric}"
                for objective in problem.objectives
            ),
            outcome_constraints=[
                f"{objective.metric} {'<=' if objective.sign < 0 else '>='} {objective.threshold!r}"
                for objective in problem.objectives
            ]
            + [f"{c.metric} {c.op} {c.bound!r}" for c in problem.outcome_constraints],
        )
        self._client.configure_generation_strategy(method="fast", initialization_random_seed=seed)
        self._trial = -1

    def ask(self) -> Arm:
        """Ax's next trial."""
        ((self._trial, parameters),) = self._client.get_next_trials(max_trials=1).items()
        return self._problem.space.canonical(dict(parameters))

    def tell(self, arm: Arm, measured: Mapping[str, Measurement]) -> None:  # noqa: ARG002
        """Completes the trial."""
        raw = {
            metric: m.mean if m.sem is None else (m.mean, m.sem) for metric, m in measured.items()
        }
        self._client.complete_trial(trial_index=self._trial, raw_data=raw)


def _config(parameter: Parameter) -> RangeParameterConfig | ChoiceParameterConfig:
    if parameter.when is not None:
        raise ValueError(f"{parameter.name} is conditional; the peers' problems are flat")
    if isinstance(parameter, FloatParameter | IntParameter):
        is_plain = parameter.step is None or parameter.step == 1
        return RangeParameterConfig(
            name=parameter.name,
            bounds=(parameter.low, parameter.high),
            parameter_type=parameter.type,
            step_size=None if is_plain else cast(float, parameter.step),
            scaling=parameter.scale,
        )
    if isinstance(parameter, BoolParameter):
        return ChoiceParameterConfig(
            name=parameter.name, values=[False, True], parameter_type="bool", is_ordered=True
        )
    values: Any = list(parameter.values) if parameter.type == "choice" else [parameter.value]
    kind = cast(Literal["int", "float", "str"], type(values[0]).__name__)
    return ChoiceParameterConfig(
        name=parameter.name,
        values=values,
        parameter_type=kind,
        is_ordered=parameter.type == "choice" and parameter.is_ordered,
    )
