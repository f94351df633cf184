"""Ends leases that nobody renewed, and at a server's start lets the living ones live on.

Also keeps the house in the same rhythm: deletes the states of trainings that have ended, forgets
old replies, and checkpoints SQLite's log.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.domain.lease import LeaseTimes
from service.storage import idempotency
from service.storage.artifacts import ArtifactStore
from service.storage.database import Database
from service.use_cases.keep_checkpoint import drop_checkpoints
from service.use_cases.reap_leases import extend_live_leases, reap_leases

_KEEP_REPLIES_S = 86_400.0
_FORGET_EVERY_S = 600.0
_LOG = logging.getLogger("archfront.reaper")


def reap_once(database: Database) -> int:
    """Ends every expired lease in one transaction; gives their number."""
    with database.write() as connection:
        expired = reap_leases(connection)
    if expired:
        _LOG.info("leases expired", extra={"count": expired})
    return expired


@asynccontextmanager
async def reaping(
    database: Database, store: ArtifactStore, times: LeaseTimes
) -> AsyncIterator[None]:
    """Reaps every `times.reap_s` while the block runs.

    First extends all live leases by one TTL: workers could not renew while no server was up.
    """
    await asyncio.to_thread(_extend, database, times)
    task = asyncio.create_task(_reap_for_ever(database, store, times.reap_s))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def forget_replies(database: Database) -> None:
    """Drops the replies kept for idempotency keys older than a day."""
    with database.write() as connection:
        idempotency.forget(connection, _KEEP_REPLIES_S)


def _extend(database: Database, times: LeaseTimes) -> None:
    with database.write() as connection:
        extended = extend_live_leases(connection, times)
    if extended:
        _LOG.info("live leases extended", extra={"count": extended})


async def _reap_for_ever(database: Database, store: ArtifactStore, reap_s: float) -> None:
    loop = asyncio.get_running_loop()
    forget_at = loop.time()
    while True:
        await asyncio.sleep(reap_s)
        try:
            await asyncio.to_thread(reap_once, database)
            await asyncio.to_thread(drop_checkpoints, database, store)
            await asyncio.to_thread(database.checkpoint)
            if loop.time() >= forget_at:
                await asyncio.to_thread(forget_replies, database)
                forget_at = loop.time() + _FORGET_EVERY_S
        except Exception:  # noqa: BLE001  (whatever it was, the next round may succeed)
            _LOG.exception("reaping failed; trying again", extra={"after_s": reap_s})
