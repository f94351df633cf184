"""Renews a lease from a thread of its own, and passes on what its stage has printed."""

import logging
import threading
import time
from types import TracebackType
from typing import Literal, Self

from service.domain.errors import ArchfrontError, LeaseLost, LeaseNotFound, Unavailable
from service.exchange import ServerUnreachable
from service.schemas.leases import Heartbeat
from workers.contact import ServerContact
from workers.growing_file import GrowingCurve, GrowingLog
from workers.held_lease import HeldLease
from workers.server import FINAL_REFUSALS, Server
from workers.work_folder import WorkFolder

_logger = logging.getLogger(__name__)

_Outcome = Literal["answered", "refused", "away"]
"""Of one heartbeat; away: there is no server, and what was sent may arrive later."""

FIRST_RETRY_S = 0.5
"""After a heartbeat that did not arrive; doubled each time, up to the interval."""


_SHORTEST_TIMEOUT_S = 2.0


class LeaseHeartbeat:
    """Beats at the server's interval while the `with` block lasts, from a thread.

    The training's process cannot hold it up: it runs in the worker. What the server answers
    lands in the `HeldLease`.
    """

    def __init__(
        self,
        server: Server,
        contact: ServerContact,
        lease: HeldLease,
        folder: WorkFolder,
        log_limit_bytes: int,
    ) -> None:
        self._server = server
        self._contact = contact
        self._lease = lease
        self._curve = GrowingCurve(folder.curve)
        self._log = GrowingLog(folder.log, log_limit_bytes)
        self._resumed = folder.resumed
        self._has_told_resumed = False
        self._beating = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._beat_until_ended, name=f"heartbeat-{lease.grant.lease_id}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def flush(self) -> bool:
        """Passes on all that is there by now; gives up at the first request that fails.

        Returns: False if the server is away, so that what is left may arrive later.
        """
        outcome: _Outcome = "answered"
        while not self._lease.is_lost and self._has_more():
            outcome = self._beat()
            if outcome != "answered":
                break
        return outcome != "away"

    def _beat_until_ended(self) -> None:
        interval_s = self._lease.grant.heartbeat_s
        retry_s = FIRST_RETRY_S
        pause_s = 0.0  # the first at once: it tells the server that the grant has arrived
        while not self._ended.wait(pause_s) and not self._lease.is_lost:
            if self._beat() != "answered":
                pause_s = min(retry_s, interval_s)
                retry_s *= 2
            else:
                pause_s, retry_s = (0.0 if self._has_more() else interval_s), FIRST_RETRY_S

    def _has_more(self) -> bool:
        with self._beating:
            return (
                bool(self._curve.points())
                or self._log.chunk() is not None
                or self._resumed_after_step() is not None
            )

    def _beat(self) -> _Outcome:
        grant = self._lease.grant
        with self._beating:
            heartbeat = Heartbeat(
                epoch=grant.epoch,
                curve=self._curve.points(),
                log=self._log.chunk(),
                resumed_after_step=self._resumed_after_step(),
            )
            sent_at_s = time.monotonic()
            try:
                reply = self._server.heartbeat(
                    grant.lease_id, heartbeat, timeout_s=max(_SHORTEST_TIMEOUT_S, grant.heartbeat_s)
                )
            except (LeaseLost, LeaseNotFound) as error:
                # The server may have the report, and be done with it, before the worker knows; one
                # that comes too late is told of by its delivery.
                if not self._lease.is_being_reported:
                    _logger.warning("Lost the lease of %s: %s", _stage_name(self._lease), error)
                self._lease.lose()
                return "refused"
            except FINAL_REFUSALS as error:
                # What it carried is at fault, and must not cost the lease as well.
                self._leave_out(heartbeat, error)
                return "refused"
            except ArchfrontError as error:
                _logger.info("No heartbeat for %s: %s", _stage_name(self._lease), error)
                is_away = isinstance(error, Unavailable | ServerUnreachable)
                return "away" if is_away else "refused"
            self._forget_sent(heartbeat)
            self._lease.renewed(sent_at_s, reply)
            self._contact.heard()
            return "answered"

    def _leave_out(self, refused: Heartbeat, error: ArchfrontError) -> None:
        if refused.log is not None:
            _logger.warning(
                "The rest of the log of %s is lost: %s", _stage_name(self._lease), error
            )
            self._log.give_up()  # a log has no gaps: nothing can follow what was refused
        else:
            _logger.warning("Curve points of %s are lost: %s", _stage_name(self._lease), error)
            self._curve.sent()

    def _resumed_after_step(self) -> int | None:
        if self._has_told_resumed or not self._resumed.exists():
            return None
        return int(self._resumed.read_text())

    def _forget_sent(self, sent: Heartbeat) -> None:
        self._has_told_resumed |= sent.resumed_after_step is not None
        self._curve.sent()
        self._log.sent()


def _stage_name(lease: HeldLease) -> str:
    grant = lease.grant
    return f"{grant.experiment_name} trial {grant.trial_number} {grant.stage}"
