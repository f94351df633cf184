"""Ends leases that nobody renewed."""

from collections import defaultdict
from datetime import timedelta

from sqlalchemy import Connection

from service.domain.errors import LeaseLost
from service.domain.lease import Lease, LeaseTimes
from service.domain.trial import AttemptOutcome
from service.storage.attempts import experiments_with_open_leases
from service.storage.clock import database_now
from service.storage.experiments import lock_experiment
from service.storage.leases import expired_leases, extend_open_leases
from service.storage.trials import trial_by_id
from service.use_cases.advance_trial import end_without_result

_AT_ONCE = 500
"""Leases ended in one transaction; the next call takes the rest."""


def reap_leases(connection: Connection) -> int:
    """Ends the leases whose time has passed; gives how many.

    Several servers may do so at once without an election: each lease is ended by a
    compare-and-set under its experiment's lock, so that a second reaper, or one that comes
    after a late heartbeat, finds nothing to end.
    """
    reaped = 0
    expired: dict[str, list[Lease]] = defaultdict(list)
    for lease in expired_leases(connection, database_now(connection), _AT_ONCE):
        expired[lease.experiment_id].append(lease)
    # Always in the same order, so that two reapers never wait for each other's locks.
    for experiment_id in sorted(expired):
        experiment = lock_experiment(connection, experiment_id)
        now = database_now(connection)
        for lease in expired[experiment_id]:
            try:
                end_without_result(
                    connection,
                    experiment,
                    trial_by_id(connection, lease.trial_id),
                    lease,
                    AttemptOutcome.LOST,
                    now=now,
                    message="no heartbeat came in time",
                    only_if_expired=True,
                )
            except LeaseLost:
                continue
            reaped += 1
    return reaped


def extend_live_leases(connection: Connection, times: LeaseTimes) -> int:
    """At a server's start: every open lease lives at least one TTL from now.

    Workers could not renew while no server ran; without this they would lose their work to
    the outage. Gives how many leases were moved.
    """
    for experiment_id in experiments_with_open_leases(connection):
        lock_experiment(connection, experiment_id)
    earliest_end = database_now(connection) + timedelta(seconds=times.ttl_s)
    return extend_open_leases(connection, earliest_end)
