"""A person steers an experiment: pause, resume, stop, archive, raise the budget.

Asking for what is so already changes nothing.
"""

from sqlalchemy import Connection

from service.domain.errors import InvalidRequest, TransitionRefused
from service.domain.experiment import Experiment, ExperimentStatus
from service.schemas.experiments import ExperimentView
from service.storage.clock import database_now
from service.storage.experiments import (
    find_experiment,
    lock_experiment,
    record_change,
    set_archived_at,
    set_budget,
    set_experiment_status,
)
from service.storage.trials import unfinished_trials
from service.use_cases.advance_trial import complete_experiment_if_done
from service.use_cases.apply_stop_rules import has_trials_to_take_up, take_up_search
from service.use_cases.read_experiment import read_experiment
from service.use_cases.stop_trial import end_by_wish

_LARGEST_BUDGET = 1_000_000


def pause(connection: Connection, id_or_name: str) -> ExperimentView:
    """No new trial starts; those under way are finished.

    Raises: ExperimentNotFound, TransitionRefused.
    """
    experiment = lock_experiment(connection, id_or_name)
    if experiment.status is not ExperimentStatus.PAUSED:
        set_experiment_status(connection, experiment, ExperimentStatus.PAUSED)
    return read_experiment(connection, experiment.id)


def resume(connection: Connection, id_or_name: str) -> ExperimentView:
    """New trials start again; a stop rule that had ended the search is switched off.

    Raises: ExperimentNotFound, TransitionRefused.
    """
    experiment = lock_experiment(connection, id_or_name)
    completed = experiment.status is ExperimentStatus.COMPLETED
    if completed and not _was_cut_short(connection, experiment):
        raise TransitionRefused(
            f"Experiment {experiment.spec.name!r} has completed.",
            remedy="Raise its budget, and it runs on.",
        )
    _require_listed(experiment)
    if experiment.status is not ExperimentStatus.RUNNING:
        set_experiment_status(connection, experiment, ExperimentStatus.RUNNING)
    take_up_search(connection, experiment, database_now(connection))
    complete_experiment_if_done(connection, experiment.id)
    return read_experiment(connection, experiment.id)


def stop(connection: Connection, id_or_name: str) -> ExperimentView:
    """For good: candidates are cancelled, workers told to drop their work.

    Raises: ExperimentNotFound.
    """
    experiment = lock_experiment(connection, id_or_name)
    if experiment.status is not ExperimentStatus.STOPPED:
        set_experiment_status(connection, experiment, ExperimentStatus.STOPPED)
        now = database_now(connection)
        for trial in unfinished_trials(connection, experiment.id):
            end_by_wish(
                connection, experiment, trial, "cancel", reason="experiment stopped", now=now
            )
    return read_experiment(connection, experiment.id)


def archive(connection: Connection, id_or_name: str) -> ExperimentView:
    """Leaves it out of the list; nothing is lost.

    Raises: ExperimentNotFound, TransitionRefused if it still goes on.
    """
    experiment = lock_experiment(connection, id_or_name)
    if experiment.status in (ExperimentStatus.RUNNING, ExperimentStatus.PAUSED):
        raise TransitionRefused(
            f"Experiment {experiment.spec.name!r} is {experiment.status}.", remedy="Stop it first."
        )
    if experiment.archived_at is None:
        set_archived_at(connection, experiment.id, database_now(connection))
        record_change(connection, experiment.id, "experiment_archived")
    return read_experiment(connection, experiment.id)


def unarchive(connection: Connection, id_or_name: str) -> ExperimentView:
    """Lists it again. Raises: ExperimentNotFound."""
    experiment = lock_experiment(connection, id_or_name)
    if experiment.archived_at is not None:
        set_archived_at(connection, experiment.id, None)
        record_change(connection, experiment.id, "experiment_unarchived")
    return read_experiment(connection, experiment.id)


def raise_budget(connection: Connection, id_or_name: str, trials: int) -> ExperimentView:
    """Sets the total number of trials; a completed experiment runs on.

    A stop rule that had ended the search is switched off: more trials are wanted.
    Raises: ExperimentNotFound; InvalidRequest if it would fall; TransitionRefused if stopped.
    """
    experiment = lock_experiment(connection, id_or_name)
    _require_rise(experiment, trials)
    if trials == experiment.budget_trials:
        return read_experiment(connection, experiment.id)
    _require_listed(experiment)
    set_budget(connection, experiment.id, trials)
    data = {"from": experiment.budget_trials, "to": trials}
    record_change(connection, experiment.id, "budget_raised", data=data)
    if experiment.status is ExperimentStatus.COMPLETED:
        experiment = find_experiment(connection, experiment.id)
        set_experiment_status(connection, experiment, ExperimentStatus.RUNNING)
    take_up_search(connection, experiment, database_now(connection))
    return read_experiment(connection, experiment.id)


def _require_listed(experiment: Experiment) -> None:
    if experiment.archived_at is not None:
        raise TransitionRefused(
            f"Experiment {experiment.spec.name!r} is archived.", remedy="Unarchive it first."
        )


def _was_cut_short(connection: Connection, experiment: Experiment) -> bool:
    """Whether a stop rule ended it before its budget was spent."""
    return experiment.stopped_by is not None and (
        experiment.trials_created < experiment.budget_trials
        or has_trials_to_take_up(connection, experiment)
    )


def _require_rise(experiment: Experiment, trials: int) -> None:
    if experiment.status is ExperimentStatus.STOPPED:
        raise TransitionRefused(
            f"Experiment {experiment.spec.name!r} is stopped for good.",
            remedy="Create a new experiment.",
        )
    if not experiment.budget_trials <= trials <= _LARGEST_BUDGET:
        raise InvalidRequest(
            f"The budget is {experiment.budget_trials} trials and cannot become {trials}.",
            field="trials",
            remedy=f"Give a total from {experiment.budget_trials} to {_LARGEST_BUDGET}.",
        )
