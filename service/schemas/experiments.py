"""Experiments on the wire; the body that creates one is `domain.ExperimentSpec` itself."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from search_spaces.values import Value
from service.domain.experiment import Experiment, ExperimentSpec, ExperimentStatus
from service.domain.trial import TrialStatus


class ExperimentView(Value):
    """An experiment with the counts of its trials by status."""

    experiment: Experiment
    trial_counts: dict[TrialStatus, int]
    explanation: str
    """One sentence: what the experiment is doing, or why nothing happens."""


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
