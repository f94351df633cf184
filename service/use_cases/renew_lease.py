"""A sign of life: renews the lease, keeps curve and log, carries commands back."""

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from service.domain.lease import Lease, LeaseTimes
from service.domain.trial import AttemptOutcome, StageStatus
from service.schemas.leases import Heartbeat, HeartbeatReply
from service.storage.attempt_records import append_curve_points, append_log
from service.storage.checkpoints import note_resumed
from service.storage.clock import database_now
from service.storage.experiments import lock_experiment
from service.storage.leases import find_lease, find_lease_and_wish, lease_lost, renew
from service.storage.trials import trial_by_id
from service.storage.workers import note_seen
from service.use_cases.advance_trial import end_attempt, end_stopped_trial


def renew_lease(
    connection: Connection, lease_id: str, heartbeat: Heartbeat, times: LeaseTimes
) -> HeartbeatReply:
    """Moves the lease's end one TTL ahead and says how to go on.

    It takes no lock but that of its own attempt: a thousand workers beat for one experiment, whose
    claims and reports take turns at its lock.
    The reply that says `cancel` ends the attempt: the worker has been told. Were it lost, the
    next heartbeat is told again.
    Raises: LeaseNotFound; LeaseLost; InvalidRequest for a gap or a conflict in the log.
    """
    lease, stop_requested = find_lease_and_wish(connection, lease_id)
    if lease.epoch != heartbeat.epoch:
        raise lease_lost(connection, lease_id)
    # Locks are taken in the order worker, experiment, lease, here as everywhere.
    if lease.worker_id is not None:
        note_seen(connection, lease.worker_id)
    if stop_requested == "cancel":
        lock_experiment(connection, lease.experiment_id)
        lease = find_lease(connection, lease_id)
    now = database_now(connection)
    if lease.outcome is AttemptOutcome.CANCELLED:
        return _reply(lease.expires_at, times, "cancel")
    # An end further away stays: a person's lease, or one that a new server has extended.
    expires_at = max(lease.expires_at, now + timedelta(seconds=times.ttl_s))
    renew(connection, lease, expires_at)
    _keep_progress(connection, lease, heartbeat)
    if stop_requested == "cancel":
        _cancel(connection, lease, now)
        return _reply(expires_at, times, "cancel")
    return _reply(expires_at, times, "stop" if stop_requested == "stop" else "continue")


def _reply(
    expires_at: datetime, times: LeaseTimes, command: Literal["continue", "stop", "cancel"]
) -> HeartbeatReply:
    return HeartbeatReply(expires_at=expires_at, ttl_s=times.ttl_s, command=command)


def _keep_progress(connection: Connection, lease: Lease, heartbeat: Heartbeat) -> None:
    if heartbeat.curve:
        append_curve_points(
            connection,
            lease.id,
            (
                (point.step, metric, value)
                for point in heartbeat.curve
                for metric, value in point.metrics.items()
            ),
        )
    if heartbeat.log is not None:
        append_log(connection, lease.id, heartbeat.log.offset, heartbeat.log.text)
    if heartbeat.resumed_after_step is not None:
        note_resumed(connection, lease.id, heartbeat.resumed_after_step)


def _cancel(connection: Connection, lease: Lease, now: datetime) -> None:
    experiment = lock_experiment(connection, lease.experiment_id)
    trial = trial_by_id(connection, lease.trial_id)
    end_attempt(connection, trial, lease, AttemptOutcome.CANCELLED, StageStatus.CANCELLED, now=now)
    end_stopped_trial(connection, experiment, trial, now)
