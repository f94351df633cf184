"""Holds on workers, by the worker's name: they outlive its sessions."""

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, or_, select, update

from service.domain.trial import AttemptOutcome
from service.domain.worker_hold import QUARANTINE_AFTER, TELLING_OUTCOMES, WorkerHold
from service.storage.clock import now_within
from service.storage.tables import attempts, worker_holds, workers


def is_held(connection: Connection, worker_name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a hold on the worker of this name is in force."""
    held = select(worker_holds.c.worker).where(worker_holds.c.worker == worker_name)
    return exists(held.where(_in_force(connection)))


def holds(connection: Connection) -> dict[str, WorkerHold]:
    """The holds in force, by the worker's name."""
    query = select(worker_holds).where(_in_force(connection))
    return {
        row.worker: WorkerHold(kind=row.kind, note=row.note, held_at=row.held_at, until=row.until)
        for row in connection.execute(query)
    }


def hold(connection: Connection, worker_name: str, given: WorkerHold) -> None:
    """Holds the worker, in place of whatever hold it was under."""
    connection.execute(delete(worker_holds).where(worker_holds.c.worker == worker_name))
    row = {"worker": worker_name, **given.model_dump()}
    connection.execute(insert(worker_holds).values(row))


def release(connection: Connection, worker_name: str) -> bool:
    """Ends the hold; whether there was one. What failed before it began is forgiven."""
    ended = connection.execute(
        update(worker_holds)
        .where(worker_holds.c.worker == worker_name, _in_force(connection))
        .values(until=now_within(connection))
    )
    return ended.rowcount > 0


def newest_outcomes(
    connection: Connection, worker_id: str
) -> tuple[str, list[tuple[AttemptOutcome, str]]]:
    """The worker's name and its newest telling attempts in all its sessions: outcome, trial id.

    None from before the last hold on it began.
    """
    name = connection.execute(select(workers.c.name).where(workers.c.id == worker_id)).scalar_one()
    held_at = select(worker_holds.c.held_at).where(worker_holds.c.worker == name).scalar_subquery()
    query = (
        select(attempts.c.outcome, attempts.c.trial_id)
        .join(workers, workers.c.id == attempts.c.worker_id)
        .where(
            workers.c.name == name,
            attempts.c.outcome.in_(TELLING_OUTCOMES),
            or_(held_at.is_(None), attempts.c.ended_at > held_at),
        )
        .order_by(attempts.c.ended_at.desc(), attempts.c.id)
        .limit(QUARANTINE_AFTER)
    )
    found = [(AttemptOutcome(row.outcome), row.trial_id) for row in connection.execute(query)]
    return name, found


def _in_force(connection: Connection) -> ColumnElement[bool]:
    return or_(worker_holds.c.until.is_(None), worker_holds.c.until > now_within(connection))
