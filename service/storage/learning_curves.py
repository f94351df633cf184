"""The learning curves of an experiment's trainings: those under way, and those that ended well."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from service.domain.learning_curves import Curve
from service.domain.trial import AttemptOutcome
from service.storage.tables import attempts, curve_points, stages

MAX_FINISHED = 200
"""Of more finished trainings, the newest are read: older ones add cost and tell no more."""
MAX_POINTS = 20_000
"""A training with a longer curve is left out: it would be read again and again."""


@dataclass(frozen=True)
class TrainingAttempt:
    """An attempt at a train stage and how many values its curve has by now."""

    lease_id: str
    trial_id: str
    curve_points: int


def trainings_under_way(connection: Connection, experiment_id: str) -> list[TrainingAttempt]:
    """The open attempts at train stages that have reported points already."""
    query = (
        select(attempts.c.id, attempts.c.trial_id, attempts.c.curve_points)
        .join(stages, stages.c.id == attempts.c.stage_id)
        .where(
            attempts.c.experiment_id == experiment_id,
            attempts.c.ended_at.is_(None),
            attempts.c.curve_points.between(1, MAX_POINTS),
            stages.c.kind == "train",
        )
        .order_by(attempts.c.claimed_at)
    )
    return [TrainingAttempt(*row) for row in connection.execute(query)]


def finished_trainings(
    connection: Connection,
    experiment_id: str,
    outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED,
) -> list[TrainingAttempt]:
    """The attempts at train stages that ran to their end, or had this outcome; newest first."""
    query = (
        select(attempts.c.id, attempts.c.trial_id, attempts.c.curve_points)
        .join(stages, stages.c.id == attempts.c.stage_id)
        .where(
            attempts.c.experiment_id == experiment_id,
            attempts.c.outcome == outcome,
            attempts.c.curve_points.between(1, MAX_POINTS),
            stages.c.kind == "train",
        )
        .order_by(attempts.c.ended_at.desc())
        .limit(MAX_FINISHED)
    )
    return [TrainingAttempt(*row) for row in connection.execute(query)]


def read_curves(connection: Connection, lease_ids: Sequence[str]) -> dict[str, Curve]:
    """The learning curves of these attempts."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {id_: {} for id_ in lease_ids}
    query = (
        select(
            curve_points.c.attempt_id,
            curve_points.c.metric,
            curve_points.c.step,
            curve_points.c.value,
        )
        .where(curve_points.c.attempt_id.in_(lease_ids))
        .order_by(curve_points.c.metric, curve_points.c.step)
    )
    for row in connection.execute(query):
        found[row.attempt_id].setdefault(row.metric, []).append((row.step, row.value))
    return dict(found)
