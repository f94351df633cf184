"""How far a worker is on its way out."""

import threading
import time
from collections.abc import Callable


class Shutdown:
    """First it drains: nothing new is begun. Then it ends: what still runs is broken off.

    It ends when told so, or `drain_s` after it began to drain.
    """

    def __init__(self, drain_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._drain_s = drain_s
        self._clock_s = clock_s
        self._draining = threading.Event()
        self._ends_s: float | None = None

    def drain(self) -> None:
        """Begins to drain."""
        if self._ends_s is None:
            self._ends_s = self._clock_s() + self._drain_s
        self._draining.set()

    def end(self) -> None:
        """Ends at once."""
        self._ends_s = self._clock_s()
        self._draining.set()

    @property
    def is_draining(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._draining.is_set()

    @property
    def is_ending(self) -> bool:
        """Whether what still runs is to be broken off."""
        return self._ends_s is not None and self._clock_s() >= self._ends_s

    def wait(self, timeout_s: float) -> bool:
        """Waits up to `timeout_s` for draining to begin; whether it has."""
        return self._draining.wait(timeout_s)
