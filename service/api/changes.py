"""Waiting for something to happen, without holding a connection or a thread.

However many requests wait, one poll per process and interval asks the database whether a new
event was written, by this process or any other.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.api.lane import Lane
from service.domain.errors import Unavailable
from service.storage.database import Database
from service.use_cases.read_events import newest_event_id

T = TypeVar("T")
_LOOK_UP_S = 1.0  # how soon a waiting request sees that its client or the server is going
_AT_LEAST_EVERY_S = 5.0  # a lease may also become free by mere passing of time
_TRIES_AT_ONCE = 4
_LOG = logging.getLogger("archfront.api")


class ChangeWatch:
    """Wakes waiting requests when the newest event changes.

    poll_s: how often the database is asked while anyone waits.
    limit: how many requests may wait at once.
    """

    def __init__(self, database: Database, poll_s: float, limit: int) -> None:
        self._database = database
        self._tries = Lane(_TRIES_AT_ONCE)
        self._poll_s = poll_s
        self._limit = limit
        self._waiting = 0
        self._newest = -1
        self._changed = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._closing = False

    def close(self) -> None:
        """Lets everything that waits end at its next look; callable from any thread."""
        self._closing = True

    def is_closing(self) -> bool:
        """Whether waiting requests should end."""
        return self._closing

    def refuse_if_full(self) -> None:
        """Raises: Unavailable if as many requests wait as may."""
        if self._waiting >= self._limit:
            raise Unavailable(
                f"{self._limit} requests are waiting already.", remedy="Try again in 2 s."
            )

    @contextmanager
    def place(self) -> Iterator[None]:
        """Counts a waiting request. Raises: Unavailable if too many wait."""
        self.refuse_if_full()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def newest(self) -> int:
        """The newest event's id, as the database has it now."""
        return await run_in_threadpool(self._read_newest)

    async def beyond(self, seen: int, timeout_s: float) -> bool:
        """Waits for an event newer than `seen`; False if none came within `timeout_s`."""
        if self._newest > seen:
            return True
        if self._poller is None or self._poller.done():
            self._changed = asyncio.Event()
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        try:
            async with asyncio.timeout(timeout_s):
                while self._newest <= seen:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> None:
        while self._waiting > 0 and not self.is_closing():
            try:
                newest = await self.newest()
            except Unavailable as error:
                _LOG.warning("cannot look for events", extra={"reason": str(error)})
                newest = self._newest
            if newest != self._newest:
                self._newest = newest
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(self._poll_s)

    def _read_newest(self) -> int:
        with self._database.read() as connection:
            return newest_event_id(connection)

    async def until(
        self, request: Request, attempt: Callable[[], T | None], wait_s: float
    ) -> T | None:
        """What `attempt` gives, tried now and again after changes, for up to `wait_s` seconds.

        Each try runs in a lane, in its own transaction; nothing is held in between. None if
        nothing came in time, or the client or the server is going.
        Raises: Unavailable if too many requests wait.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_s
        with self.place():
            # Most find something at once, and need not know what was the newest event before.
            given = await self._tries.run(attempt)
            if given is not None or wait_s <= 0 or self.is_closing():
                return given
            while True:
                seen = await self.newest()
                given = await self._tries.run(attempt)
                if given is not None or self.is_closing():
                    return given
                again = min(end, loop.time() + _AT_LEAST_EVERY_S)
                while not await self.beyond(seen, max(0.0, min(_LOOK_UP_S, again - loop.time()))):
                    if self.is_closing() or await request.is_disconnected():
                        return None
                    if loop.time() >= again:
                        break
                if loop.time() >= end or await request.is_disconnected():
                    return None
                # Spreads the tries of many that one event has woken.
                await asyncio.sleep(random.uniform(0, min(0.1, end - loop.time())))
