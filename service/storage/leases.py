"""Leases as rows: each is one attempt at one stage, fenced by its epoch.

Whatever ends or renews an attempt is a compare-and-set on (id, still open): zero rows mean
that the lease is lost, and the caller's transaction changes nothing.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from service.domain.errors import LeaseLost, LeaseNotFound
from service.domain.lease import Lease
from service.domain.trial import AttemptOutcome, Stage, StageStatus
from service.storage.identifiers import new_id
from service.storage.tables import attempts, stages, trials

_LEASE_COLUMNS = tuple(attempts.c[name] for name in Lease.model_fields)
_LEASE_BY_ID = select(*_LEASE_COLUMNS).where(attempts.c.id == bindparam("of_lease"))
_LEASE_AND_WISH = (
    select(*_LEASE_COLUMNS, trials.c.stop_requested)
    .join(trials, trials.c.id == attempts.c.trial_id)
    .where(attempts.c.id == bindparam("of_lease"))
)
_RENEWING = (
    update(attempts)
    .where(
        attempts.c.id == bindparam("of_lease"),
        attempts.c.epoch == bindparam("of_epoch"),
        attempts.c.ended_at.is_(None),
    )
    .values(expires_at=bindparam("until"))
)


def find_lease(connection: Connection, lease_id: str) -> Lease:
    """The lease of this id. Raises: LeaseNotFound."""
    row = connection.execute(_LEASE_BY_ID, {"of_lease": lease_id}).one_or_none()
    if row is None:
        raise _not_found(lease_id)
    return _as_lease(row)


def find_lease_and_wish(connection: Connection, lease_id: str) -> tuple[Lease, str | None]:
    """The lease, and whether its trial was told to `stop` or to `cancel`; None: to go on.

    In one look, for this is asked more often than all else together. Raises: LeaseNotFound.
    """
    row = connection.execute(_LEASE_AND_WISH, {"of_lease": lease_id}).one_or_none()
    if row is None:
        raise _not_found(lease_id)
    values = row._asdict()
    wish: str | None = values.pop("stop_requested")
    return Lease.model_validate(values), wish


def lock_open_lease(connection: Connection, lease_id: str, epoch: int) -> Lease:
    """The lease, held until the commit: nobody ends it meanwhile.

    Raises: LeaseNotFound; LeaseLost if it has ended, or is of another epoch.
    """
    lease = find_lease(connection, lease_id)
    held = (
        select(attempts.c.id)
        .where(attempts.c.id == lease_id, attempts.c.epoch == epoch, attempts.c.ended_at.is_(None))
        .with_for_update(key_share=True)
    )
    if connection.scalar(held) is None:
        raise lease_lost(connection, lease_id)
    return lease


def open_lease(
    connection: Connection,
    stage: Stage,
    trial_id: str,
    experiment_id: str,
    *,
    now: datetime,
    expires_at: datetime,
    worker_id: str | None = None,
    token_id: str | None = None,
    measure_device: str | None = None,
) -> Lease | None:
    """Leases a ready stage under the next epoch; None if it is no longer ready.

    State, epoch and expiry are set together, so that no moment exists in which a stage is
    leased without an expiry.
    """
    epoch = connection.scalar(
        update(stages)
        .where(
            stages.c.id == stage.id,
            stages.c.status == StageStatus.READY,
            stages.c.epoch == stage.epoch,
        )
        .values(
            status=StageStatus.LEASED,
            epoch=stages.c.epoch + 1,
            attempts=stages.c.attempts + 1,
            started_at=stage.started_at or now,
        )
        .returning(stages.c.epoch)
    )
    if epoch is None:
        return None
    lease = Lease(
        id=new_id("lease"),
        stage_id=stage.id,
        trial_id=trial_id,
        experiment_id=experiment_id,
        epoch=epoch,
        worker_id=worker_id,
        claimed_at=now,
        expires_at=expires_at,
    )
    connection.execute(
        insert(attempts).values(
            **lease.model_dump(),
            token_id=token_id,
            measure_device=measure_device,
            environment={},
            log_characters=0,
            curve_points=0,
        )
    )
    return lease


def measured_device(connection: Connection, lease_id: str) -> str | None:
    """The device that the lease's stage measures on; None: it measures on none."""
    query = select(attempts.c.measure_device).where(attempts.c.id == lease_id)
    return connection.scalar(query)


def renew(connection: Connection, lease: Lease, expires_at: datetime) -> None:
    """Moves the end of an open lease; also of one that has expired but was not reaped.

    Until the commit the attempt is this transaction's: another heartbeat for it waits.
    Raises: LeaseLost.
    """
    renewed = connection.execute(
        _RENEWING, {"of_lease": lease.id, "of_epoch": lease.epoch, "until": expires_at}
    )
    if renewed.rowcount != 1:
        raise lease_lost(connection, lease.id)


def close_lease(
    connection: Connection,
    lease: Lease,
    outcome: AttemptOutcome,
    stage_status: StageStatus,
    *,
    now: datetime,
    message: str | None = None,
    detail: str | None = None,
    environment: dict[str, Any] | None = None,
    counts: bool = True,
    only_if_expired: bool = False,
) -> None:
    """Ends the attempt and moves its stage on.

    counts: whether the attempt counts against the limit.
    only_if_expired: leaves a lease alone that was renewed in the meantime.
    Raises: LeaseLost if the attempt has already ended (or, so asked, has not expired).
    """
    query = update(attempts).where(
        attempts.c.id == lease.id,
        attempts.c.epoch == lease.epoch,
        attempts.c.ended_at.is_(None),
    )
    if only_if_expired:
        query = query.where(attempts.c.expires_at <= now)
    closed = connection.execute(
        query.values(
            ended_at=now,
            outcome=outcome,
            message=message,
            detail=detail,
            environment=environment or {},
        )
    )
    if closed.rowcount != 1:
        raise lease_lost(connection, lease.id)
    moved = connection.execute(
        update(stages)
        .where(
            stages.c.id == lease.stage_id,
            stages.c.status == StageStatus.LEASED,
            stages.c.epoch == lease.epoch,
        )
        .values(
            status=stage_status,
            attempts=stages.c.attempts - (0 if counts else 1),
            **({"ready_at": now} if stage_status is StageStatus.READY else {"ended_at": now}),
        )
    )
    if moved.rowcount != 1:
        raise RuntimeError(f"lease {lease.id} was open while its stage was not leased to it")


def lease_lost(connection: Connection, lease_id: str) -> LeaseLost:
    """The error that says what became of the lease."""
    outcome = connection.scalar(select(attempts.c.outcome).where(attempts.c.id == lease_id))
    state = "is no longer the newest of its stage" if outcome is None else f"has ended: {outcome}"
    return LeaseLost(
        f"Lease {lease_id} {state}.",
        field="lease_id",
        remedy="Drop this work and claim anew.",
    )


def keep_reply(
    connection: Connection, lease_id: str, report_digest: str, reply: dict[str, Any]
) -> None:
    """Keeps what a report was answered, so that the same report is answered the same."""
    connection.execute(
        update(attempts)
        .where(attempts.c.id == lease_id)
        .values(report_digest=report_digest, reply=reply)
    )


def kept_reply(connection: Connection, lease_id: str, report_digest: str) -> dict[str, Any] | None:
    """The answer that the same report got before; None if it was not made."""
    reply: dict[str, Any] | None = connection.scalar(
        select(attempts.c.reply).where(
            attempts.c.id == lease_id, attempts.c.report_digest == report_digest
        )
    )
    return reply


def newest_lease_of(connection: Connection, stage_id: str) -> Lease | None:
    """The stage's lease of the highest epoch, open or not."""
    query = (
        select(*_LEASE_COLUMNS)
        .where(attempts.c.stage_id == stage_id)
        .order_by(attempts.c.epoch.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _as_lease(row)


def expired_leases(connection: Connection, now: datetime, limit: int) -> list[Lease]:
    """Up to `limit` open leases whose end has passed, the oldest first."""
    query = (
        select(*_LEASE_COLUMNS)
        .where(attempts.c.ended_at.is_(None), attempts.c.expires_at <= now)
        .order_by(attempts.c.expires_at)
        .limit(limit)
    )
    return [_as_lease(row) for row in connection.execute(query)]


def extend_open_leases(connection: Connection, earliest_end: datetime) -> int:
    """Makes every open lease live at least until `earliest_end`; gives how many were moved."""
    return connection.execute(
        update(attempts)
        .where(attempts.c.ended_at.is_(None), attempts.c.expires_at < earliest_end)
        .values(expires_at=earliest_end)
    ).rowcount


def _not_found(lease_id: str) -> LeaseNotFound:
    return LeaseNotFound(
        f"No lease has the id {lease_id!r}.",
        field="lease_id",
        remedy="Claim one with POST /v1/leases.",
    )


def _as_lease(row: Row[Any]) -> Lease:
    return Lease.model_validate(dict(row._mapping))  # noqa: SLF001  (SQLAlchemy's public name)
