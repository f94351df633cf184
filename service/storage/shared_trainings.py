"""Train stages that take the result of another trial's: the same training, done once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, exists, insert, select, update

from service.domain.trial import AttemptOutcome, StageStatus, TrialStatus
from service.storage.experiments import record_change
from service.storage.tables import attempts, measurements, stages, trials


@dataclass(frozen=True)
class SharedTraining:
    """A train stage that need not be worked off, and the attempt whose result it takes."""

    trial_id: str
    trial_number: int
    stage_id: str
    attempt_id: str
    trained_by: int


def waits_for_twin() -> ColumnElement[bool]:
    """Whether the stage (of `stages` and `trials`) is a training that another trial is doing."""
    twin, training = trials.alias("twin"), stages.alias("twin_training")
    return and_(
        stages.c.kind == "train",
        exists()
        .where(
            twin.c.experiment_id == trials.c.experiment_id,
            twin.c.training_key == trials.c.training_key,
            twin.c.id != trials.c.id,
            training.c.trial_id == twin.c.id,
            training.c.kind == "train",
            training.c.status == StageStatus.LEASED,
        )
        .correlate(stages, trials),
    )


def shareable_trainings(connection: Connection, experiment_id: str) -> list[SharedTraining]:
    """The ready train stages of the locked experiment whose training another trial has done.

    Of several that have, the first.
    """
    twin, training = trials.alias("twin"), stages.alias("twin_training")
    query = (
        select(
            trials.c.id,
            trials.c.number,
            stages.c.id.label("stage_id"),
            attempts.c.id.label("attempt_id"),
            twin.c.number.label("trained_by"),
        )
        .join(stages, stages.c.trial_id == trials.c.id)
        .join(
            twin,
            (twin.c.experiment_id == trials.c.experiment_id)
            & (twin.c.training_key == trials.c.training_key)
            & (twin.c.id != trials.c.id),
        )
        .join(training, training.c.trial_id == twin.c.id)
        .join(attempts, attempts.c.stage_id == training.c.id)
        .where(
            trials.c.experiment_id == experiment_id,
            trials.c.status.in_([TrialStatus.CANDIDATE, TrialStatus.RUNNING]),
            trials.c.stop_requested.is_(None),
            stages.c.kind == "train",
            stages.c.status == StageStatus.READY,
            training.c.kind == "train",
            training.c.status == StageStatus.COMPLETED,
            attempts.c.outcome == AttemptOutcome.SUCCEEDED,
        )
        .order_by(trials.c.number, twin.c.number)
    )
    found: dict[str, SharedTraining] = {}
    for row in connection.execute(query):
        found.setdefault(row.id, SharedTraining(*row))
    return list(found.values())


def complete_by_reference(
    connection: Connection, experiment_id: str, shared: SharedTraining, now: datetime
) -> None:
    """Completes the stage with the other's result: its measurements, and its files by reference."""
    connection.execute(
        update(stages)
        .where(stages.c.id == shared.stage_id, stages.c.status == StageStatus.READY)
        .values(
            status=StageStatus.COMPLETED,
            shared_attempt_id=shared.attempt_id,
            started_at=now,
            ended_at=now,
        )
    )
    columns = [column for column in measurements.c if column.name != "trial_id"]
    # Only the trainer's own: those that have shared before name the same attempt.
    of_trainer = select(attempts.c.trial_id).where(attempts.c.id == shared.attempt_id)
    taken = connection.execute(
        select(*columns).where(
            measurements.c.attempt_id == shared.attempt_id,
            measurements.c.trial_id == of_trainer.scalar_subquery(),
        )
    ).all()
    if taken:
        connection.execute(
            insert(measurements),
            [{**row._mapping, "trial_id": shared.trial_id} for row in taken],  # noqa: SLF001
        )
    data = {"trained_by": shared.trained_by, "lease_id": shared.attempt_id}
    record_change(connection, experiment_id, "training_shared", shared.trial_number, data)


def shared_attempt_ids(connection: Connection, trial_id: str) -> Sequence[str]:
    """The attempts of other trials whose results this one has taken."""
    query = select(stages.c.shared_attempt_id).where(
        stages.c.trial_id == trial_id, stages.c.shared_attempt_id.is_not(None)
    )
    return [attempt_id for attempt_id in connection.scalars(query) if attempt_id is not None]
