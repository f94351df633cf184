"""Gives a failed or cancelled trial another chance."""

from sqlalchemy import Connection

from service.domain.errors import TransitionRefused
from service.domain.experiment import ExperimentStatus
from service.domain.trial import Trial, TrialStatus
from service.storage.candidates import put_first
from service.storage.clock import database_now
from service.storage.experiments import lock_experiment, set_experiment_status
from service.storage.trials import find_trial, ready_again, set_trial_status, trial_by_id
from service.use_cases.share_trainings import share_trainings


def requeue_trial(connection: Connection, experiment_id: str, number: int) -> Trial:
    """The trial as a candidate again, its attempts counted anew, no budget consumed.

    Stages that were completed keep their results; a completed experiment runs on.
    Raises: ExperimentNotFound, TrialNotFound, TransitionRefused.
    """
    experiment = lock_experiment(connection, experiment_id)
    trial = find_trial(connection, experiment.id, number)
    if experiment.status is ExperimentStatus.STOPPED:
        raise TransitionRefused(
            f"Experiment {experiment.spec.name!r} is stopped for good.",
            remedy="Create a new experiment, and attach the arm there.",
        )
    set_trial_status(connection, trial, TrialStatus.CANDIDATE, now=database_now(connection))
    put_first(connection, trial.id)
    ready_again(connection, trial)
    if experiment.status is ExperimentStatus.COMPLETED:
        set_experiment_status(connection, experiment, ExperimentStatus.RUNNING)
    share_trainings(connection, experiment)
    return trial_by_id(connection, trial.id)
