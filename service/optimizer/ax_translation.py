"""The goals and the measurements in Ax's terms, under neutral names (`m0`, `c0`)."""

import math
from collections.abc import Mapping, Sequence

from ax.core.arm import Arm as AxArm
from ax.core.data import Data, DataRow
from ax.core.experiment import Experiment as AxExperiment
from ax.core.objective import Objective as AxObjective
from ax.core.optimization_config import MultiObjectiveOptimizationConfig, OptimizationConfig
from ax.core.outcome_constraint import OutcomeConstraint as AxOutcomeConstraint

from service.optimizer.ax_space import AxSpace
from service.optimizer.history import MeasuredArm
from service.optimizer.optimizer import SuggestRequest


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
