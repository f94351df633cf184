"""Which trials count: those observed in every objective, and those within the constraints."""

from collections.abc import Sequence

from service.domain.experiment import ExperimentSpec
from service.domain.objective import Objective
from service.domain.trial import Trial, TrialStatus


def has_every_objective(trial: Trial, objectives: Sequence[Objective]) -> bool:
    """Whether the trial carries a measurement of each objective's metric."""
    return all(objective.metric in trial.measurements for objective in objectives)


def is_observed(trial: Trial, objectives: Sequence[Objective]) -> bool:
    """Whether the trial completed, or stopped early, with every objective measured."""
    ended = trial.status in (TrialStatus.COMPLETED, TrialStatus.EARLY_STOPPED)
    return ended and has_every_objective(trial, objectives)


def is_feasible(trial: Trial, spec: ExperimentSpec) -> bool:
    """Whether the trial is observed and the mean of each constrained metric meets its bound.

    A trial without a measurement of a constrained metric is not feasible.
    """
    return is_observed(trial, spec.objectives) and all(
        constraint.metric in trial.measurements
        and constraint.holds(trial.measurements[constraint.metric].mean)
        for constraint in spec.outcome_constraints
    )


def teaches(trial: Trial) -> bool:
    """Whether the trial has ended with something that a model can learn from."""
    return trial.status in (
        TrialStatus.COMPLETED,
        TrialStatus.INFEASIBLE,
        TrialStatus.EARLY_STOPPED,
    )
