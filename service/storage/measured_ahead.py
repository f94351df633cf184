"""Trials that are measured ahead of a training which has not begun."""

from sqlalchemy import ColumnElement, Connection, func, select

from service.domain.trial import StageStatus, TrialStatus
from service.storage.tables import stages, trials


def awaits_training(trial_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the trial has a training that has never begun; see `Trial.awaits_training`."""
    training = stages.alias("training")
    return (
        select(training.c.id)
        .where(
            training.c.trial_id == trial_id,
            training.c.kind == "train",
            training.c.epoch == 0,
            training.c.status.in_([StageStatus.WAITING, StageStatus.READY]),
        )
        # PostgreSQL then looks a trial's stages up by their index. Else it would join all of them,
        # and go through each for every trial as long as it knows nothing of the tables.
        .offset(0)
        .exists()
    )


def measured_ahead_count(connection: Connection, experiment_id: str) -> int:
    """How many running trials of the experiment have begun with nothing but a measurement."""
    query = (
        select(func.count())
        .select_from(trials)
        .where(
            trials.c.experiment_id == experiment_id,
            trials.c.status == TrialStatus.RUNNING,
            awaits_training(trials.c.id),
        )
    )
    return connection.scalar(query) or 0
