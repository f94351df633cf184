"""Brings a finished result to the server: its files first, then the report."""

import logging
import threading
from typing import Literal

from service.domain.errors import ArchfrontError, InvalidRequest, TooLarge
from service.schemas.leases import FailRequest
from workers.report import CompleteReport, FailReport
from workers.safe_text import safe_text
from workers.server import FINAL_REFUSALS, Server
from workers.spool import Spool, SpooledReport

_logger = logging.getLogger(__name__)


class Delivery:
    """Sends spooled reports, each by one thread at a time, until the server's last word on it."""

    def __init__(self, server: Server, spool: Spool) -> None:
        self._server = server
        self._spool = spool
        self._lock = threading.Lock()
        self._reserved: set[str] = set()

    def deliver(self, lease_id: str) -> bool:
        """Whether the lease's report is settled: recorded, or refused for good. Else try again."""
        spooled = self._spool.find(lease_id)
        if spooled is None:
            return True
        try:
            self._send(spooled)
        except (InvalidRequest, TooLarge) as error:
            _logger.warning("The server did not accept the result of lease %s: %s", lease_id, error)
            if isinstance(spooled.report, CompleteReport):
                return self._fail_instead(spooled.report, "recipe", f"not accepted: {error}")
        except FINAL_REFUSALS as error:
            _logger.warning("Dropped the result of lease %s: %s", lease_id, error)
        except ArchfrontError as error:
            _logger.info("The result of lease %s waits: %s", lease_id, error)
            return False
        except FileNotFoundError as error:
            _logger.warning("The result of lease %s is incomplete: %s", lease_id, error)
            if isinstance(spooled.report, CompleteReport):
                return self._fail_instead(spooled.report, "machine", f"gone from the disk: {error}")
        self._spool.remove(spooled)
        return True

    def reserve(self, lease_id: str) -> None:
        """From now on only the caller delivers the reports of this lease."""
        with self._lock:
            self._reserved.add(lease_id)

    def release(self, lease_id: str) -> None:
        """The caller leaves this lease's report, if there still is one, to `deliver_rest`."""
        with self._lock:
            self._reserved.discard(lease_id)

    def deliver_rest(self) -> int:
        """Tries each report that nobody has reserved once; gives how many are left."""
        left = 0
        for spooled in self._spool:
            lease_id = spooled.report.lease_id
            with self._lock:
                is_reserved = lease_id in self._reserved
            if not is_reserved and not self.deliver(lease_id):
                left += 1
        return left

    def _send(self, spooled: SpooledReport) -> None:
        report = spooled.report
        if isinstance(report, CompleteReport):
            for artifact in report.body.artifacts:
                self._server.upload_artifact(spooled.file(artifact.sha256))
            self._server.complete(report.lease_id, report.body)
        elif isinstance(report, FailReport):
            self._server.fail(report.lease_id, report.body)
        else:
            self._server.infeasible(report.lease_id, report.body)

    def _fail_instead(
        self, report: CompleteReport, fault: Literal["recipe", "machine"], why: str
    ) -> bool:
        # Silence would let the lease expire, and the stage be worked off again to the same end.
        body = FailRequest(
            epoch=report.body.epoch,
            fault=fault,
            message=safe_text(f"The result was {why}", 2_000),
            environment=report.body.environment,
        )
        self._spool.put(FailReport(lease_id=report.lease_id, body=body), {})
        return self.deliver(report.lease_id)
