"""Looks at attempts: who holds how many leases, and what a trial has been through."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, select

from service.storage.shared_trainings import shared_attempt_ids
from service.storage.tables import RECORDED_OUTCOMES, attempts, stages

_LEASE_LOAD = select(
    select(func.count())
    .where(attempts.c.worker_id == bindparam("of_worker"), attempts.c.ended_at.is_(None))
    .scalar_subquery()
    .label("leases"),
    select(attempts.c.id)
    .where(attempts.c.measure_device == bindparam("on_device"), attempts.c.ended_at.is_(None))
    .exists()
    .label("is_measuring"),
)


def open_lease_count(connection: Connection, experiment_id: str) -> int:
    """How many leases are held on the experiment's stages."""
    query = (
        select(func.count())
        .select_from(attempts)
        .where(attempts.c.experiment_id == experiment_id, attempts.c.ended_at.is_(None))
    )
    return connection.scalar(query) or 0


def open_lease_counts(connection: Connection, worker_ids: Sequence[str]) -> dict[str, int]:
    """How many leases each worker holds."""
    query = (
        select(attempts.c.worker_id, func.count())
        .where(attempts.c.worker_id.in_(worker_ids), attempts.c.ended_at.is_(None))
        .group_by(attempts.c.worker_id)
    )
    counts = dict.fromkeys(worker_ids, 0)
    counts.update(dict(connection.execute(query).all()))
    return counts


def lease_load(connection: Connection, worker_id: str, device: str) -> tuple[int, bool]:
    """How many leases the worker holds, and whether a measurement on the device is under way."""
    row = connection.execute(_LEASE_LOAD, {"of_worker": worker_id, "on_device": device}).one()
    return row.leases, bool(row.is_measuring)


def experiments_with_open_leases(connection: Connection) -> list[str]:
    """Ids of the experiments on which leases are held, in the order of locking."""
    query = select(attempts.c.experiment_id).where(attempts.c.ended_at.is_(None)).distinct()
    return sorted(connection.scalars(query))


def attempts_of_trial(connection: Connection, trial_id: str) -> list[Row[Any]]:
    """All attempts of the trial with their stage's name, stage by stage in order of epoch."""
    query = (
        select(attempts, stages.c.name.label("stage"))
        .join(stages, stages.c.id == attempts.c.stage_id)
        .where(attempts.c.trial_id == trial_id)
        .order_by(stages.c.position, attempts.c.epoch)
    )
    return list(connection.execute(query))


def recorded_attempt_ids(connection: Connection, trial_id: str) -> list[str]:
    """The attempts whose curves and files a reader is shown: per stage the one recorded.

    While a stage has none, its newest attempt; of a shared training, the attempt that did it.
    """
    rows = connection.execute(
        select(attempts.c.stage_id, attempts.c.id)
        .join(stages, stages.c.id == attempts.c.stage_id)
        .where(attempts.c.trial_id == trial_id)
        .order_by(
            stages.c.position,
            case((attempts.c.outcome.in_(RECORDED_OUTCOMES), 1), else_=0),
            attempts.c.epoch,
        )
    )
    return [*shared_attempt_ids(connection, trial_id), *dict(rows.all()).values()]
