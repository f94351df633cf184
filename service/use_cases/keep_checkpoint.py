"""Keeps the state of a training under way, for another attempt to go on from."""

from datetime import timedelta

from sqlalchemy import Connection

from service.domain.errors import Unavailable
from service.schemas.leases import CheckpointReference
from service.storage.artifact_rows import insert_artifact, remove_unrecorded
from service.storage.artifacts import ArtifactStore
from service.storage.checkpoints import (
    CheckpointRow,
    forget_checkpoint,
    forget_file,
    insert_arriving,
    keep_instead,
    kept_checkpoint,
    useless_checkpoints,
)
from service.storage.clock import database_now
from service.storage.database import Database
from service.storage.leases import lock_open_lease

_LONGEST_ARRIVAL_S = 3_600.0
"""A file is stored within seconds of being announced; after so long its server has died."""

_AT_ONCE = 50
"""Checkpoints dropped at a time; the next call takes the rest."""


def announce_checkpoint(
    connection: Connection, lease_id: str, epoch: int, offered: CheckpointReference
) -> CheckpointRow | None:
    """Notes that the file is about to be stored; None if the stage has this one or a later one.

    Raises: LeaseNotFound, LeaseLost.
    """
    lease = lock_open_lease(connection, lease_id, epoch)
    kept = kept_checkpoint(connection, lease.stage_id)
    if kept is not None and kept.attempt_id == lease.id and kept.step >= offered.step:
        return None
    now = database_now(connection)
    return insert_arriving(connection, lease, **offered.model_dump(), now=now)


def keep_checkpoint(
    connection: Connection, arrived: CheckpointRow, epoch: int
) -> CheckpointReference:
    """Makes the stored file what the stage's next lease is given; only its newest lease may.

    Raises: LeaseLost; Unavailable if the file was given up meanwhile.
    """
    lock_open_lease(connection, arrived.attempt_id, epoch)
    insert_artifact(connection, arrived.sha256, arrived.size_bytes, database_now(connection))
    if not keep_instead(connection, arrived):
        raise Unavailable("The checkpoint took too long to arrive.", remedy="Send it again.")
    return as_reference(arrived)


def read_checkpoint(connection: Connection, lease_id: str, epoch: int) -> CheckpointReference:
    """What the stage of this open lease has kept. Raises: LeaseLost; Unavailable if nothing."""
    lease = lock_open_lease(connection, lease_id, epoch)
    kept = kept_checkpoint(connection, lease.stage_id)
    if kept is None:
        raise Unavailable("The checkpoint is gone.", remedy="Send it again.")
    return as_reference(kept)


def as_reference(row: CheckpointRow) -> CheckpointReference:
    """The checkpoint on the wire."""
    return CheckpointReference(step=row.step, sha256=row.sha256, size_bytes=row.size_bytes)


def drop_checkpoints(database: Database, store: ArtifactStore) -> int:
    """Deletes the files of checkpoints that nobody will go on from; gives how many.

    A crash at any point leaves the checkpoint's row, so that it is dropped again: first no one
    may read the file, then it goes, then the row. Several servers may do so at once.
    """
    with database.read() as connection:
        limit = database_now(connection) - timedelta(seconds=_LONGEST_ARRIVAL_S)
        useless = useless_checkpoints(connection, limit, _AT_ONCE)
    for row in useless:
        with database.write() as connection:
            is_gone = forget_file(connection, row)
        with database.write() as connection:
            if is_gone:
                remove_unrecorded(connection, row.sha256, database_now(connection), store.remove)
            forget_checkpoint(connection, row)
    return len(useless)
