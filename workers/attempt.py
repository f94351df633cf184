"""One lease from its grant to its report."""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from service.domain.errors import ArchfrontError
from service.schemas.leases import LeaseGrant
from workers.crash import crash
from workers.delivery import Delivery
from workers.heartbeat import LeaseHeartbeat
from workers.held_lease import HeldLease
from workers.inputs import fetch_inputs
from workers.report import report_of
from workers.safe_text import safe_text
from workers.server import Server
from workers.shutdown import Shutdown
from workers.spool import Spool
from workers.stage_order import StageOrder
from workers.stage_result import STAGE_RESULT, StageCompleted, StageFailed, StageInfeasible
from workers.trial_process import TrialProcess, stage_command, stage_environment
from workers.work_folder import WorkFolder

_logger = logging.getLogger(__name__)

_LOOK_S = 0.1
_DELIVERY_RETRY_S = 1.0

WALL_CLOCK_GRACE_S = 60.0
"""Beyond its wall-clock limit a training that gives no more points is killed after so long."""

_PREEMPTED = StageFailed(fault="preempted", message="The worker was told to stop.")


@dataclass(frozen=True)
class Attempts:
    """Works off leases, one call each, from several threads at once."""

    server: Server
    spool: Spool
    delivery: Delivery
    shutdown: Shutdown
    work_folder: Path
    cache_folder: Path
    threads: int
    log_limit_bytes: int

    def hand_back(self, grant: LeaseGrant) -> None:
        """Gives a lease back that came too late to be begun."""
        report, _ = report_of(grant, _PREEMPTED)
        self.spool.put(report, {})
        self.delivery.deliver(grant.lease_id)

    def work_off(
        self, grant: LeaseGrant, cores: tuple[int, ...] | None, stop_margin_s: float
    ) -> None:
        """Runs the stage, heartbeats meanwhile, reports; returns with nothing left running.

        Without a word if the lease is lost or cancelled. A report that does not get through
        before the lease ends stays in the spool.
        """
        lease = HeldLease(grant, stop_margin_s)
        folder = WorkFolder(self.work_folder / f"{grant.stage_kind}-{os.urandom(8).hex()}")
        self.delivery.reserve(grant.lease_id)
        try:
            with LeaseHeartbeat(self.server, lease, folder, self.log_limit_bytes) as heartbeat:
                result = self._result(lease, folder, cores)
                if result is not None:
                    self._report(lease, result, heartbeat)
        finally:
            self.delivery.release(grant.lease_id)
            folder.remove()

    def _result(
        self, lease: HeldLease, folder: WorkFolder, cores: tuple[int, ...] | None
    ) -> StageCompleted | StageInfeasible | StageFailed | None:
        try:
            folder.create()
            if not fetch_inputs(self.server, lease, folder, self.shutdown):
                return _PREEMPTED if self.shutdown.is_ending else None
            return self._run(lease, folder, cores)
        except (OSError, ArchfrontError) as error:
            message = safe_text(f"The stage could not be started: {error}", 2_000)
            return StageFailed(fault="machine", message=message)

    def _run(
        self, lease: HeldLease, folder: WorkFolder, cores: tuple[int, ...] | None
    ) -> StageCompleted | StageInfeasible | StageFailed | None:
        order = StageOrder(
            grant=lease.grant,
            work_folder=folder.path,
            cache_folder=self.cache_folder,
            threads=self.threads,
            cores=cores,
        )
        folder.order.write_text(order.model_dump_json())
        environment = stage_environment(os.environ, self.threads)
        began_s = time.monotonic()
        with TrialProcess(stage_command(folder.order), folder.log, environment) as process:
            while (exit_code := process.wait(_LOOK_S)) is None:
                if lease.is_lost or lease.command == "cancel":
                    _logger.info("Dropped %s: it is no longer wanted here.", _name(lease.grant))
                    return None
                if lease.has_ended:
                    _logger.warning("Dropped %s: its lease was not renewed.", _name(lease.grant))
                    return None
                if self.shutdown.is_ending:
                    return _PREEMPTED
                if lease.command == "stop":
                    folder.stop_flag.touch()
                limit_s = _hard_limit_s(lease.grant)
                if limit_s is not None and time.monotonic() - began_s > limit_s:
                    return _overrun(lease.grant)
        return _read_result(folder) or crash(exit_code, folder.log)

    def _report(
        self,
        lease: HeldLease,
        result: StageCompleted | StageInfeasible | StageFailed,
        heartbeat: LeaseHeartbeat,
    ) -> None:
        self.spool.put(*report_of(lease.grant, result))
        # The report ends the lease: what the heartbeats still owe has to arrive before it.
        while not (heartbeat.flush() and self.delivery.deliver(lease.grant.lease_id)):
            if lease.has_ended or self.shutdown.is_ending:
                _logger.warning("The result of %s waits in the spool.", _name(lease.grant))
                return
            time.sleep(_DELIVERY_RETRY_S)
        _logger.info("Reported %s: %s.", _name(lease.grant), result.ended)


def _read_result(folder: WorkFolder) -> StageCompleted | StageInfeasible | StageFailed | None:
    try:
        return STAGE_RESULT.validate_json(folder.result.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _hard_limit_s(grant: LeaseGrant) -> float | None:
    limit_s = grant.training.wall_clock_limit_s
    if grant.stage_kind != "train" or limit_s is None:
        return None
    return limit_s + WALL_CLOCK_GRACE_S


def _overrun(grant: LeaseGrant) -> StageFailed:
    return StageFailed(
        fault="recipe",
        message=(
            f"Killed {WALL_CLOCK_GRACE_S:g} s after training.wall_clock_limit_s = "
            f"{grant.training.wall_clock_limit_s:g}: training gave no more learning-curve points "
            "at which it could have ended by itself; raise the limit or yield points more often."
        ),
    )


def _name(grant: LeaseGrant) -> str:
    return f"{grant.experiment_name} trial {grant.trial_number} {grant.stage}"
