"""Tells the service manager that this worker is ready, alive or stopping: `sd_notify(3)`."""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Self

_logger = logging.getLogger(__name__)

NOTIFY_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""Of the process that systemd started, and of none that this one starts."""


class Watchdog:
    """Speaks to the systemd that started this process; to nobody where none did.

    address: of its datagram socket; one that begins with `@` is abstract.
    limit_s: it ends a worker that has not fed it for so long; None if it never does.
    """

    def __init__(self, address: str | None, limit_s: float | None = None) -> None:
        self._address = "\0" + address[1:] if address and address[0] == "@" else address
        self.limit_s = limit_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The one that $NOTIFY_SOCKET and $WATCHDOG_USEC name, if they are meant for us."""
        microseconds = environment.get("WATCHDOG_USEC")
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit_s = int(microseconds) / 1e6 if microseconds and is_ours else None
        return cls(environment.get("NOTIFY_SOCKET"), limit_s)

    def ready(self) -> None:
        """The worker is registered: from now on it has to be fed."""
        self._notify("READY=1")

    def feed(self) -> None:
        """The worker has just heard its server."""
        self._notify("WATCHDOG=1")

    def stopping(self) -> None:
        """The worker takes nothing more and will end."""
        self._notify("STOPPING=1")

    def _notify(self, assignment: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.connect(self._address)
                sender.sendall(assignment.encode())
        except OSError as error:
            # It will end the worker for its silence, if it still is there.
            _logger.warning("Cannot tell systemd %s: %s", assignment, error)
