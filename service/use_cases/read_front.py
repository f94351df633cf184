"""Reads the front: its trials, how its hypervolume grew, and the trial to pick for budgets."""

from collections.abc import Mapping

from sqlalchemy import Connection

from service.domain import observed_front, pick
from service.domain.experiment import Experiment
from service.domain.trial import Trial
from service.schemas.fronts import Front, HypervolumeTrace, Pick
from service.storage.experiments import find_experiment
from service.storage.insights import find_insight
from service.storage.trials import trials_of_experiment

MAX_OTHERS = 2_000
"""Dominated trials shown at most: more would make charts slow and tell no more."""


def read_front(connection: Connection, experiment_id: str, max_others: int = MAX_OTHERS) -> Front:
    """The front of an experiment, by its id or name, with at most `max_others` behind it.

    Raises: ExperimentNotFound.
    """
    experiment, trials = _read(connection, experiment_id)
    insight = find_insight(connection, experiment.id)
    return observed_front.observe_front(experiment, trials, max_others, insight)


def read_hypervolume(connection: Connection, experiment_id: str) -> HypervolumeTrace:
    """How the hypervolume grew, at the reference point that the front has now.

    Raises: ExperimentNotFound.
    """
    experiment, trials = _read(connection, experiment_id)
    return observed_front.trace_hypervolume(experiment, trials)


def pick_trial(
    connection: Connection,
    experiment_id: str,
    budgets: Mapping[str, float],
    max_options: int = 10,
) -> Pick:
    """The best feasible trial within `budgets` (by metric, in its unit).

    Raises: ExperimentNotFound, UnknownMetric, InvalidRequest for a budget that is not finite.
    """
    experiment, trials = _read(connection, experiment_id)
    insight = find_insight(connection, experiment.id)
    return pick.pick_trial(experiment, trials, budgets, max_options, insight)


def _read(connection: Connection, experiment_id: str) -> tuple[Experiment, list[Trial]]:
    experiment = find_experiment(connection, experiment_id)
    return experiment, trials_of_experiment(connection, experiment.id)
