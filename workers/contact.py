"""Knows when this worker last heard its server, for whoever watches over the worker."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

from search_spaces.values import Value
from workers.watchdog import Watchdog

_logger = logging.getLogger(__name__)


class WorkerHealth(Value):
    """How a worker is.

    hears_server: whether it is registered, and a claim or a heartbeat succeeded within
        `silence_limit_s`.
    silent_s: since the last that did; None before the first registration.
    """

    name: str
    worker_id: str | None
    state: Literal["registering", "online", "draining"]
    hears_server: bool
    silent_s: float | None
    silence_limit_s: float | None


class ServerContact:
    """The contact to the server. Thread-safe; nothing else feeds the watchdog."""

    def __init__(
        self, name: str, watchdog: Watchdog, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._watchdog = watchdog
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._worker_id: str | None = None
        self._is_stopping = False
        self._heard_at_s = 0.0
        self._silence_limit_s = 0.0

    def registered(self, worker_id: str, silence_limit_s: float) -> None:
        """The server knows the worker, which may rightly hear nothing for `silence_limit_s`."""
        with self._lock:
            self._worker_id = worker_id
            self._heard_at_s = self._clock_s()
            self._silence_limit_s = silence_limit_s
        killed_after_s = self._watchdog.limit_s
        if killed_after_s is not None and killed_after_s < silence_limit_s:
            _logger.warning(
                "WatchdogSec is %g s, but this worker may rightly hear nothing for %g s; raise "
                "WatchdogSec in its unit, or it is ended without need.",
                killed_after_s,
                silence_limit_s,
            )
        self._watchdog.ready()

    def heard(self) -> None:
        """A claim or a heartbeat has succeeded."""
        with self._lock:
            self._heard_at_s = self._clock_s()
        self._watchdog.feed()

    def stopping(self) -> None:
        """The worker takes nothing more."""
        with self._lock:
            self._is_stopping = True
        self._watchdog.stopping()

    def health(self) -> WorkerHealth:
        """How the worker is now."""
        with self._lock:
            if self._worker_id is None:
                return WorkerHealth(
                    name=self._name,
                    worker_id=None,
                    state="registering",
                    hears_server=False,
                    silent_s=None,
                    silence_limit_s=None,
                )
            silent_s = self._clock_s() - self._heard_at_s
            return WorkerHealth(
                name=self._name,
                worker_id=self._worker_id,
                state="draining" if self._is_stopping else "online",
                hears_server=silent_s <= self._silence_limit_s,
                silent_s=round(silent_s, 3),
                silence_limit_s=self._silence_limit_s,
            )
