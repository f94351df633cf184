"""Looks at attempts: who holds how many leases, and what a trial has been through."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, literal, null, select, union_all

from service.domain.errors import LeaseNotFound
from service.storage.shared_trainings import shared_attempt_ids
from service.storage.tables import (
    RECORDED_OUTCOMES,
    attempts,
    experiments,
    stages,
    trials,
    workers,
)

_LEASE_LOAD = union_all(
    select(null().label("device"), func.count().label("leases")).where(
        attempts.c.worker_id == bindparam("of_worker"), attempts.c.ended_at.is_(None)
    ),
    select(attempts.c.measure_device, literal(1)).where(
        attempts.c.measure_device.in_(bindparam("on_devices", expanding=True)),
        attempts.c.ended_at.is_(None),
    ),
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


def worker_of_lease(connection: Connection, lease_id: str) -> str | None:
    """The name of the worker that holds or held the lease; None: a person asked for it.

    Raises: LeaseNotFound.
    """
    query = (
        select(attempts.c.id, workers.c.name)
        .outerjoin(workers, workers.c.id == attempts.c.worker_id)
        .where(attempts.c.id == lease_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise LeaseNotFound(f"No lease has the id {lease_id!r}.", field="lease_id")
    name: str | None = row.name
    return name


def lease_load(
    connection: Connection, worker_id: str, devices: Iterable[str]
) -> tuple[int, set[str]]:
    """How many leases the worker holds, and on which of the devices a measurement is under way."""
    which = {"of_worker": worker_id, "on_devices": sorted(set(devices))}
    rows = connection.execute(_LEASE_LOAD, which).all()
    busy = {row.device for row in rows if row.device is not None}
    return next(int(row.leases) for row in rows if row.device is None), busy


def open_measurements(connection: Connection) -> list[Row[Any]]:
    """What is being measured now: device, experiment, trial, stage, worker, since when."""
    query = (
        select(
            attempts.c.measure_device,
            experiments.c.name.label("experiment"),
            trials.c.number.label("trial_number"),
            stages.c.name.label("stage"),
            workers.c.name.label("worker"),
            attempts.c.claimed_at.label("since"),
        )
        .join(stages, stages.c.id == attempts.c.stage_id)
        .join(trials, trials.c.id == attempts.c.trial_id)
        .join(experiments, experiments.c.id == attempts.c.experiment_id)
        .outerjoin(workers, workers.c.id == attempts.c.worker_id)
        .where(attempts.c.ended_at.is_(None), attempts.c.measure_device.is_not(None))
    )
    return list(connection.execute(query))


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
