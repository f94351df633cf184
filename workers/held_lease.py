"""What is known of a lease while its stage runs; shared by the threads that care for it."""

import threading
import time
from collections.abc import Callable
from typing import Literal

from service.schemas.leases import HeartbeatReply, LeaseGrant

Command = Literal["continue", "stop", "cancel"]


class HeldLease:
    """A lease and when it ends, on this machine's monotonic clock.

    Only the server decides that a lease has expired; this is the worker's own, earlier end: it
    must not go on with what another may by now have been given.
    """

    def __init__(
        self,
        grant: LeaseGrant,
        stop_margin_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.grant = grant
        self._clock_s = clock_s
        self._stop_margin_s = stop_margin_s
        self._lock = threading.Lock()
        self._command: Command = "continue"
        self._is_lost = False
        self._is_being_reported = False
        self._ends_s = 0.0
        self._extend(clock_s(), grant.ttl_s)

    def _extend(self, from_s: float, ttl_s: float) -> None:
        # Where a server dictates a margin that a lease as short as this cannot spare.
        margin_s = min(self._stop_margin_s, ttl_s / 3)
        self._ends_s = max(self._ends_s, from_s + ttl_s - margin_s)

    def renewed(self, sent_at_s: float, reply: HeartbeatReply) -> None:
        """A heartbeat sent at `sent_at_s` was answered; the lease counts from its sending."""
        with self._lock:
            self._extend(sent_at_s, reply.ttl_s)
            if self._command != "cancel":
                self._command = reply.command

    def begin_report(self) -> None:
        """From now on its end may be that of its stage's report, which is no loss."""
        with self._lock:
            self._is_being_reported = True

    @property
    def is_being_reported(self) -> bool:
        """Whether the report is on its way."""
        with self._lock:
            return self._is_being_reported

    def lose(self) -> None:
        """The server says that the lease is no longer held."""
        with self._lock:
            self._is_lost = True

    @property
    def is_lost(self) -> bool:
        """Whether the server has said that the lease is no longer held."""
        with self._lock:
            return self._is_lost

    @property
    def has_ended(self) -> bool:
        """Whether it must be taken as ended, for want of a renewal."""
        with self._lock:
            return self._clock_s() >= self._ends_s

    @property
    def command(self) -> Command:
        """The server's last word."""
        with self._lock:
            return self._command
