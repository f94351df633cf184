"""Trains a configuration once: trials that differ in evaluation parameters share its checkpoint."""

from sqlalchemy import Connection

from service.domain.experiment import Experiment
from service.domain.trial import TrialStatus
from service.storage.clock import database_now
from service.storage.shared_trainings import complete_by_reference, shareable_trainings
from service.storage.trials import trial_by_id
from service.use_cases.advance_trial import end_trial, start_next_stage


def share_trainings(connection: Connection, experiment: Experiment) -> list[int]:
    """Gives finished trainings to the trials that wait for the same; the numbers of these trials.

    To be called under the experiment's lock whenever a training has ended, or a training stage
    may have become ready. The metrics of the training become the trial's, its files the input
    of the next stage; nothing of it is leased, and it costs the trial nothing.
    """
    if not experiment.space.evaluation_parameters:
        return []
    taken = []
    now = database_now(connection)
    for shared in shareable_trainings(connection, experiment.id):
        complete_by_reference(connection, experiment.id, shared, now)
        trial = trial_by_id(connection, shared.trial_id)
        stage = next(stage for stage in trial.stages if stage.id == shared.stage_id)
        if not start_next_stage(connection, trial, stage):
            end_trial(connection, experiment, trial, TrialStatus.COMPLETED, now=now)
        taken.append(shared.trial_number)
    return taken
