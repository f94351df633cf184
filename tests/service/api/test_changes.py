"""Waiting ends with the client or the server, and costs one poll however many wait."""

import asyncio
import time
from typing import Any

import pytest

from service.api.changes import ChangeWatch
from service.domain.errors import Unavailable


class Asking:
    """A request whose client leaves after `stays_s`."""

    def __init__(self, stays_s: float = 1e9) -> None:
        self._until = time.monotonic() + stays_s

    async def is_disconnected(self) -> bool:
        return time.monotonic() > self._until


@pytest.fixture
def watch(api_database: Any) -> ChangeWatch:
    return ChangeWatch(api_database, poll_s=0.05, limit=100)


def waiting(watch: ChangeWatch, asking: Asking, wait_s: float) -> Any:
    return watch.until(asking, lambda: None, wait_s)  # type: ignore[arg-type]


def test_a_client_that_leaves_is_not_waited_for(watch: ChangeWatch) -> None:
    began = time.monotonic()
    assert asyncio.run(waiting(watch, Asking(0.2), 30)) is None
    assert time.monotonic() - began < 10


def test_closing_ends_all_that_wait(watch: ChangeWatch) -> None:
    async def scene() -> float:
        tasks = [asyncio.create_task(waiting(watch, Asking(), 30)) for _ in range(20)]
        await asyncio.sleep(0.3)
        began = time.monotonic()
        watch.close()
        assert await asyncio.gather(*tasks) == [None] * 20
        return time.monotonic() - began

    assert asyncio.run(scene()) < 10


def test_fifty_that_wait_cost_one_poll(watch: ChangeWatch, monkeypatch: Any) -> None:
    reads = 0
    original = watch._read_newest

    def counted() -> int:
        nonlocal reads
        reads += 1
        return original()

    monkeypatch.setattr(watch, "_read_newest", counted)

    async def scene() -> None:
        await asyncio.gather(*(waiting(watch, Asking(), 1.5) for _ in range(50)))

    asyncio.run(scene())
    # At most two tries each (at the start and at the end), and a poll every 0.05 s for 1.5 s;
    # a poll of their own would be 1,500.
    assert reads <= 2 * 50 + 60


def test_what_is_there_is_given_at_once(watch: ChangeWatch) -> None:
    given = asyncio.run(watch.until(Asking(), lambda: 3, 30))  # type: ignore[arg-type]
    assert given == 3


def test_more_than_the_limit_are_sent_away(watch: ChangeWatch) -> None:
    watch._limit = 1

    async def scene() -> None:
        first = asyncio.create_task(waiting(watch, Asking(), 0.5))
        await asyncio.sleep(0.1)
        with pytest.raises(Unavailable, match="waiting already"):
            await waiting(watch, Asking(), 0.5)
        assert await first is None

    asyncio.run(scene())
