"""One lease from its grant to its report."""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from service.domain.errors import ArchfrontError
from service.schemas.leases import LeaseGrant
from workers.checkpoints import CheckpointUploads, fetch_checkpoint
from workers.contact import ServerContact
from workers.delivery import Delivery
from workers.engines.engine import Place
from workers.heartbeat import LeaseHeartbeat
from workers.held_lease import HeldLease
from workers.inputs import fetch_inputs
from workers.lab import Lab
from workers.report import report_of
from workers.safe_text import safe_text
from workers.server import Server
from workers.shutdown import Shutdown
from workers.spool import Spool
from workers.stage_limits import StageLimits
from workers.stage_order import StageOrder
from workers.stage_result import StageCompleted, StageFailed, StageInfeasible
from workers.work_folder import WorkFolder

_logger = logging.getLogger(__name__)

_LOOK_S = 0.1
_DELIVERY_RETRY_S = 1.0

_PREEMPTED = StageFailed(fault="preempted", message="The worker was told to stop.")


@dataclass(frozen=True)
class Attempts:
    """Works off leases, one call each, from several threads at once.

    own_device: the worker's own host as a device; lab: the others.
    """

    server: Server
    contact: ServerContact
    spool: Spool
    delivery: Delivery
    shutdown: Shutdown
    work_folder: Path
    cache_folder: Path
    threads: int
    log_limit_bytes: int
    limits: StageLimits
    own_device: str
    lab: Lab

    def hand_back(self, grant: LeaseGrant) -> None:
        """Gives a lease back that came too late to be begun."""
        report, _ = report_of(grant, _PREEMPTED)
        self.spool.put(report, {})
        self.delivery.deliver(grant.lease_id)

    def work_off(self, grant: LeaseGrant, place: Place, stop_margin_s: float) -> None:
        """Runs the stage there, heartbeats meanwhile, reports; returns with nothing left running.

        Without a word if the lease is lost or cancelled. A report that does not get through
        before the lease ends stays in the spool.
        """
        lease = HeldLease(grant, stop_margin_s)
        folder = WorkFolder(self.work_folder / f"{grant.stage_kind}-{os.urandom(8).hex()}")
        self.delivery.reserve(grant.lease_id)
        try:
            with (
                LeaseHeartbeat(
                    self.server, self.contact, lease, folder, self.log_limit_bytes
                ) as heartbeat,
                CheckpointUploads(self.server, lease, folder, self.shutdown) as checkpoints,
            ):
                result = self._result(lease, folder, place)
                if isinstance(result, StageFailed) and result.fault != "recipe":
                    checkpoints.flush()  # the report ends the lease, under which it is kept
                if result is not None:
                    self._report(lease, result, heartbeat)
        finally:
            self.delivery.release(grant.lease_id)
            folder.remove()

    def _result(
        self, lease: HeldLease, folder: WorkFolder, place: Place
    ) -> StageCompleted | StageInfeasible | StageFailed | None:
        try:
            folder.create()
            if not fetch_inputs(self.server, lease, folder, self.shutdown):
                return _PREEMPTED if self.shutdown.is_ending else None
            fetch_checkpoint(self.server, lease, folder, self.shutdown)
            return self._run(lease, folder, place)
        except (OSError, ArchfrontError) as error:
            message = safe_text(f"The stage could not be started: {error}", 2_000)
            return StageFailed(fault="machine", message=message)

    def _run(
        self, lease: HeldLease, folder: WorkFolder, place: Place
    ) -> StageCompleted | StageInfeasible | StageFailed | None:
        device = self.lab.device_of(lease.grant.target)
        order = StageOrder(
            grant=lease.grant,
            work_folder=folder.path,
            cache_folder=self.cache_folder,
            threads=self.threads,
            limits=self.limits,
            device_name=self.own_device if device is None else device.probed.name,
            device=None if device is None else device.entry,
        )
        with place.run(order) as run:
            while (result := run.wait(_LOOK_S)) is None:
                if lease.is_lost or lease.command == "cancel":
                    _logger.info("Dropped %s: it is no longer wanted here.", _name(lease.grant))
                    return None
                if lease.has_ended:
                    _logger.warning("Dropped %s: its lease was not renewed.", _name(lease.grant))
                    return None
                if self.shutdown.is_ending:
                    return _PREEMPTED
                if lease.command == "stop":
                    run.stop()
        return result

    def _report(
        self,
        lease: HeldLease,
        result: StageCompleted | StageInfeasible | StageFailed,
        heartbeat: LeaseHeartbeat,
    ) -> None:
        self.spool.put(*report_of(lease.grant, result))
        lease.begin_report()
        # The report ends the lease: what the heartbeats still owe has to arrive before it.
        while not (heartbeat.flush() and self.delivery.deliver(lease.grant.lease_id)):
            if lease.has_ended or self.shutdown.is_ending:
                _logger.warning("The result of %s waits in the spool.", _name(lease.grant))
                return
            time.sleep(_DELIVERY_RETRY_S)
        _logger.info("Reported %s: %s.", _name(lease.grant), result.ended)


def _name(grant: LeaseGrant) -> str:
    return f"{grant.experiment_name} trial {grant.trial_number} {grant.stage}"
