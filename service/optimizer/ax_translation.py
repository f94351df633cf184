"""Our values in Ax's terms and back: the search space, the objectives and the measurements.

Ax sees neutral names (`x0`, `m0`), so that no name of ours can break its expressions, and
every parameter as a number: a value, a logarithm or the position of a level. So steps, log
scales and ordered choices all become plain ranges, and a conditional parameter that is
inactive takes the middle of its range, which the arm made of it leaves out again.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

from ax.core.arm import Arm as AxArm
from ax.core.data import Data, DataRow
from ax.core.experiment import Experiment as AxExperiment
from ax.core.objective import Objective as AxObjective
from ax.core.optimization_config import MultiObjectiveOptimizationConfig, OptimizationConfig
from ax.core.outcome_constraint import OutcomeConstraint as AxOutcomeConstraint
from ax.core.parameter import ChoiceParameter, ParameterType, RangeParameter
from ax.core.parameter import Parameter as AxParameter
from ax.core.parameter_constraint import ParameterConstraint as AxParameterConstraint
from ax.core.search_space import SearchSpace as AxSearchSpace

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterConstraint, ParameterSpace
from search_spaces.parameters import FixedParameter, IntParameter, ParameterValue
from service.optimizer.axes import Axis, assemble, axes_of
from service.optimizer.history import MeasuredArm
from service.optimizer.optimizer import SuggestRequest

MAX_LEVELS_DISCRETE = 20
"""Ordered levels beyond this are searched as a continuum and rounded; Ax's own limit too."""

_MARGIN = 1e-6
"""Share of a constraint's reach that keeps the optimizer's tolerance on the legal side."""


class AxSpace:
    """A parameter space as Ax searches it."""

    def __init__(self, space: ParameterSpace) -> None:
        self.space = space
        self.axes = {f"x{number}": axis for number, axis in enumerate(axes_of(space))}

    @cached_property
    def search_space(self) -> AxSearchSpace:
        """Ranges, unordered choices and those linear constraints that Ax can keep."""
        return AxSearchSpace(
            parameters=[_ax_parameter(name, axis) for name, axis in self.axes.items()],
            parameter_constraints=[
                AxParameterConstraint(inequality=inequality)
                for constraint in self.space.constraints
                if (inequality := self._inequality(constraint)) is not None
            ],
        )

    @property
    def discrete_sizes(self) -> list[int]:
        """Numbers of levels of the ordered axes that Ax searches level by level."""
        return [
            axis.levels
            for axis in self.axes.values()
            if _is_discrete(axis) and not _is_one_hot(axis)
        ]

    @property
    def is_discrete(self) -> bool:
        """Whether Ax searches every axis level by level."""
        return len(self.discrete_sizes) == len(self.axes)

    def encode(self, arm: Arm) -> dict[str, int | float]:
        """The coordinates of a legal arm."""
        return {
            name: _coordinate(axis, arm.parameters[axis.name])
            if axis.name in arm.parameters
            else _middle(axis)
            for name, axis in self.axes.items()
        }

    def decode(self, coordinates: Mapping[str, int | float]) -> Arm:
        """The arm at the given coordinates; a constraint may be broken, everything else holds."""
        return assemble(
            self.space,
            {axis.name: _value(axis, float(coordinates[name])) for name, axis in self.axes.items()},
        )

    def _inequality(self, constraint: ParameterConstraint) -> str | None:
        """The constraint over coordinates; None where it is not linear in these."""
        names = {axis.name: name for name, axis in self.axes.items()}
        terms: dict[str, float] = {}
        bound, reach = constraint.upper_bound, 0.0
        for parameter_name, coefficient in constraint.coefficients.items():
            parameter = self.space.by_name[parameter_name]
            if parameter.when is not None:
                return None
            if isinstance(parameter, FixedParameter):
                bound -= coefficient * float(parameter.value)
                continue
            axis = self.axes[names[parameter_name]]
            first, step = (0.0, 1.0) if not axis.levels else axis.spacing or (0.0, 0.0)
            if step == 0:
                return None
            bound -= coefficient * first
            if coefficient != 0:
                terms[names[parameter_name]] = coefficient * step
            if not _is_discrete(axis):
                reach += abs(coefficient * step) * (axis.bounds[1] - axis.bounds[0])
        if not terms:
            return None
        # floating point must not cut off a level that lies on the bound
        bound += -_MARGIN * reach if reach else 1e-9 * max(1.0, abs(bound))
        total = " + ".join(f"{factor!r} * {name}" for name, factor in terms.items())
        return f"{total} <= {bound!r}"


def _is_discrete(axis: Axis) -> bool:
    return bool(axis.levels) and (axis.levels <= MAX_LEVELS_DISCRETE or not axis.is_ordered)


def _is_one_hot(axis: Axis) -> bool:
    return not axis.is_ordered and axis.levels > 2


def _ax_parameter(name: str, axis: Axis) -> AxParameter:
    if _is_one_hot(axis):
        return ChoiceParameter(
            name=name,
            parameter_type=ParameterType.INT,
            values=list(range(axis.levels)),
            is_ordered=False,
            sort_values=False,
            bypass_cardinality_check=True,
        )
    if _is_discrete(axis) and axis.is_log:
        return ChoiceParameter(
            name=name,
            parameter_type=ParameterType.FLOAT,
            values=[_coordinate(axis, axis.at_level(level)) for level in range(axis.levels)],
            is_ordered=True,
            sort_values=True,
        )
    low, high = axis.bounds
    if axis.is_log:
        ends = (low, high) if not axis.levels else (axis.at_level(0), axis.at_level(int(high)))
        low, high = (math.log10(float(end)) for end in ends)
    if _is_discrete(axis):
        return RangeParameter(name, ParameterType.INT, lower=int(low), upper=int(high))
    return RangeParameter(name, ParameterType.FLOAT, lower=float(low), upper=float(high))


def _coordinate(axis: Axis, value: ParameterValue) -> int | float:
    if axis.is_log:
        return math.log10(float(value))
    return axis.level_of(value) if axis.levels else float(value)


def _middle(axis: Axis) -> int | float:
    if axis.levels:
        return _coordinate(axis, axis.at_level((axis.levels - 1) // 2))
    return _coordinate(axis, axis.from_unit(0.5))


def _value(axis: Axis, coordinate: float) -> ParameterValue:
    low, high = axis.bounds
    if axis.is_log and isinstance(axis.parameter, IntParameter):
        value = round(math.pow(10.0, coordinate))
        return min(max(value, axis.parameter.low), axis.parameter.high)
    if axis.levels:
        return axis.at_level(int(min(max(round(coordinate), low), high)))
    return min(max(math.pow(10.0, coordinate) if axis.is_log else coordinate, low), high)


def ax_experiment(
    request: SuggestRequest,
    ax_space: AxSpace,
    arms: Sequence[MeasuredArm],
    reference: Mapping[str, float],
) -> tuple[AxExperiment, Data, dict[str, str]]:
    """The history as one finished batch of arms, its measurements, and our metrics by Ax's names.

    reference: the objectives' thresholds by metric; a single objective has no use for them.
    """
    goal = _Goal(request, reference)
    experiment = AxExperiment(
        search_space=ax_space.search_space,
        optimization_config=goal.optimization_config,
    )
    names = [f"arm{number}" for number in range(len(arms))]
    trial = experiment.new_batch_trial()
    trial.add_arms_and_weights(
        [
            AxArm(parameters={**ax_space.encode(arm.arm)}, name=name)
            for name, arm in zip(names, arms, strict=True)
        ]
    )
    trial.mark_running(no_runner_required=True).mark_completed()
    rows = [
        DataRow(
            trial_index=0,
            arm_name=name,
            metric_name=ax_name,
            metric_signature=ax_name,
            mean=arm.means[metric],
            se=math.nan if (sem := arm.sems[metric]) is None else sem,
        )
        for name, arm in zip(names, arms, strict=True)
        for ax_name, metric in goal.metrics.items()
        if metric in arm.means
    ]
    return experiment, Data(data_rows=rows), goal.metrics


class _Goal:
    """The objectives and outcome constraints over Ax's metrics.

    Ax constrains no objective itself: a constraint on an objective's metric tightens its
    threshold where it points the same way, and bounds a twin of the metric otherwise.
    """

    def __init__(self, request: SuggestRequest, reference: Mapping[str, float]) -> None:
        self.metrics = {f"m{n}": objective.metric for n, objective in enumerate(request.objectives)}
        thresholds = dict(reference)
        bounds: dict[tuple[str, str], float] = {}
        is_multi = len(request.objectives) > 1
        towards = {o.metric: ">=" if o.sign > 0 else "<=" for o in request.objectives}
        for constraint in request.outcome_constraints:
            tightest = max if constraint.op == ">=" else min
            metric, bound = constraint.metric, constraint.bound
            if is_multi and towards.get(metric) == constraint.op:
                thresholds[metric] = tightest(thresholds[metric], bound)
            else:
                key = (metric, constraint.op)
                bounds[key] = tightest(bounds.get(key, bound), bound)
        self._bounded = {
            metric: f"c{n}" for n, metric in enumerate(dict.fromkeys(m for m, _ in bounds))
        }
        self.metrics |= {name: metric for metric, name in self._bounded.items()}
        signs = [o.sign for o in request.objectives]
        self._objective = ", ".join(f"{'-' if s < 0 else ''}m{n}" for n, s in enumerate(signs))
        self._thresholds = (
            [
                f"m{n} {towards[o.metric]} {thresholds[o.metric]!r}"
                for n, o in enumerate(request.objectives)
            ]
            if is_multi
            else []
        )
        self._constraints = [
            f"{self._bounded[metric]} {op} {bound!r}" for (metric, op), bound in bounds.items()
        ]

    @property
    def optimization_config(self) -> OptimizationConfig:
        """Ax's statement of the goal."""
        signatures = {name: name for name in self.metrics}
        objective = AxObjective(expression=self._objective, metric_name_to_signature=signatures)
        constraints, thresholds = (
            [
                AxOutcomeConstraint(
                    expression=expression, metric_name_to_signature=signatures, relative=False
                )
                for expression in expressions
            ]
            for expressions in (self._constraints, self._thresholds)
        )
        if thresholds:
            return MultiObjectiveOptimizationConfig(
                objective=objective,
                outcome_constraints=constraints,
                objective_thresholds=thresholds,
            )
        return OptimizationConfig(objective=objective, outcome_constraints=constraints)
