"""Checkpoints as rows: of each stage at most one is kept, and none goes before its file."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, or_, select, update

from service.domain.lease import Lease
from service.domain.trial import StageStatus
from service.storage.identifiers import new_id
from service.storage.tables import (
    artifacts,
    attempt_artifacts,
    attempts,
    checkpoints,
    stages,
)


@dataclass(frozen=True)
class CheckpointRow:
    """A training's state after `step` steps, left by the attempt."""

    id: str
    stage_id: str
    attempt_id: str
    step: int
    sha256: str
    size_bytes: int


_COLUMNS = tuple(checkpoints.c[name] for name in CheckpointRow.__dataclass_fields__)


def insert_arriving(
    connection: Connection, lease: Lease, *, step: int, sha256: str, size_bytes: int, now: datetime
) -> CheckpointRow:
    """Notes a checkpoint whose file is about to be stored: a crash then leaves no stray file."""
    row = CheckpointRow(
        id=new_id("checkpoint"),
        stage_id=lease.stage_id,
        attempt_id=lease.id,
        step=step,
        sha256=sha256,
        size_bytes=size_bytes,
    )
    connection.execute(insert(checkpoints).values(**vars(row), status="arriving", saved_at=now))
    return row


def keep_instead(connection: Connection, row: CheckpointRow) -> bool:
    """Makes the arriving checkpoint the stage's only one; false if it was given up meanwhile."""
    connection.execute(
        update(checkpoints)
        .where(checkpoints.c.stage_id == row.stage_id, checkpoints.c.status == "kept")
        .values(status="superseded")
    )
    kept = connection.execute(
        update(checkpoints)
        .where(checkpoints.c.id == row.id, checkpoints.c.status == "arriving")
        .values(status="kept")
    )
    return kept.rowcount == 1


def kept_checkpoint(connection: Connection, stage_id: str) -> CheckpointRow | None:
    """The state that the stage's next attempt goes on from."""
    query = select(*_COLUMNS).where(
        checkpoints.c.stage_id == stage_id, checkpoints.c.status == "kept"
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else CheckpointRow(**row._asdict())


def note_resumed(connection: Connection, lease_id: str, step: int) -> None:
    """The attempt has gone on after so many steps; what was noted first stays."""
    connection.execute(
        update(attempts)
        .where(attempts.c.id == lease_id, attempts.c.resumed_after_step.is_(None))
        .values(resumed_after_step=step)
    )


def useless_checkpoints(
    connection: Connection, arriving_before: datetime, limit: int
) -> list[CheckpointRow]:
    """Those that nobody will go on from.

    Superseded; of a stage that nobody works on or will; or announced so long ago that they
    can no longer arrive.
    """
    query = (
        select(*_COLUMNS)
        .join(stages, stages.c.id == checkpoints.c.stage_id)
        .where(~_is_wanted(arriving_before))
        .order_by(checkpoints.c.saved_at)
        .limit(limit)
    )
    return [CheckpointRow(**row._asdict()) for row in connection.execute(query)]


def _is_wanted(arriving_before: datetime) -> ColumnElement[bool]:
    return or_(
        and_(
            checkpoints.c.status == "kept",
            stages.c.status.in_([StageStatus.READY, StageStatus.LEASED]),
        ),
        and_(checkpoints.c.status == "arriving", checkpoints.c.saved_at >= arriving_before),
    )


def forget_file(connection: Connection, row: CheckpointRow) -> bool:
    """Takes the file out of the artifacts; false if something else refers to the same bytes.

    From then on nobody goes on from the checkpoint, whatever becomes of its stage.
    """
    connection.execute(
        update(checkpoints).where(checkpoints.c.id == row.id).values(status="superseded")
    )
    others = checkpoints.alias("others")
    is_used = or_(
        exists().where(attempt_artifacts.c.sha256 == row.sha256),
        exists().where(others.c.sha256 == row.sha256, others.c.id != row.id),
    )
    if connection.scalar(select(is_used)):
        return False
    connection.execute(delete(artifacts).where(artifacts.c.sha256 == row.sha256))
    return True


def forget_checkpoint(connection: Connection, row: CheckpointRow) -> None:
    """Takes out the row, the file being gone."""
    connection.execute(delete(checkpoints).where(checkpoints.c.id == row.id))
