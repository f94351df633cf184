"""A lane of few threads: those who take long wait in it for each other, and for nobody else."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


class Lane:
    """Runs deeds in threads, so many at once, in the order in which they came.

    Claims and reports take turns at the lock of their experiment. Were they to wait for it in the
    threads and with the connections that all requests share, the heartbeats of a large fleet
    would find neither, and its leases would expire while their workers work.
    """

    def __init__(self, width: int) -> None:
        self._limiter = CapacityLimiter(width)

    async def run(self, deed: Callable[[], T]) -> T:
        """What `deed` gives, or raises."""
        return await to_thread.run_sync(deed, limiter=self._limiter)
