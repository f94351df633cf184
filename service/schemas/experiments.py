"""Experiments on the wire; the body that creates one is `domain.ExperimentSpec` itself."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from search_spaces.parameters import ParameterValue
from search_spaces.values import Value
from service.domain.experiment import Experiment, ExperimentSpec, ExperimentStatus
from service.domain.trial import TrialStatus


class SourceView(Value):
    """An earlier experiment that this one starts warm from, and how much of it is used.

    final_trials: those of its trials that ended with a result so far.
    used_trials: those of them that are legal arms here and measured a shared metric.
    metrics: which of its metrics stand for which of ours.
    filled_parameters: at which values its trials are taken to have run, where it had no such
        parameter. ignored_parameters: those that only it has.
    """

    experiment_id: str
    name: str
    status: ExperimentStatus
    final_trials: int
    used_trials: int
    metrics: dict[str, str]
    filled_parameters: dict[str, ParameterValue] = {}
    ignored_parameters: tuple[str, ...] = ()


class ExperimentView(Value):
    """An experiment with the counts of its trials by status.

    sources: the earlier experiments it starts warm from.
    """

    experiment: Experiment
    trial_counts: dict[TrialStatus, int]
    explanation: str
    """One sentence: what the experiment is doing, or why nothing happens."""
    sources: tuple[SourceView, ...] = ()


class ExperimentSummary(Value):
    """One line of the list."""

    id: str
    name: str
    status: ExperimentStatus
    search_space: str | None
    budget_trials: int
    trials_created: int
    trial_counts: dict[TrialStatus, int]
    created_at: datetime
    archived_at: datetime | None = None


class ExperimentValidation(Value):
    """A spec that would be accepted, with everything resolved."""

    spec: ExperimentSpec
    parameter_count: int
    metrics: tuple[str, ...]


class BudgetChange(Value):
    """The new total number of trials; it may only rise."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)]
