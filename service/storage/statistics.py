"""Counts over the whole database, for dashboards and alarms."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from service.domain.experiment import ExperimentStatus
from service.domain.trial import StageStatus, TrialStatus
from service.storage.clock import database_now
from service.storage.tables import attempts, experiments, stages, trials, workers


@dataclass(frozen=True)
class FleetCounts:
    """The fleet at one moment.

    oldest_ready_s: how long the longest-waiting ready stage of a running trial has waited.
    """

    trials_by_status: dict[str, int]
    experiments_by_status: dict[str, int]
    open_leases: int
    workers_online: int
    oldest_ready_s: float


def fleet_counts(connection: Connection) -> FleetCounts:
    """Counts what /metrics shows, in a handful of indexed queries."""
    now = database_now(connection)
    by_trial_status = dict.fromkeys(map(str, TrialStatus), 0)
    counted = select(trials.c.status, func.count()).group_by(trials.c.status)
    by_trial_status.update((status, count) for status, count in connection.execute(counted))
    by_experiment_status = dict.fromkeys(map(str, ExperimentStatus), 0)
    counted = select(experiments.c.status, func.count()).group_by(experiments.c.status)
    by_experiment_status.update((status, count) for status, count in connection.execute(counted))
    open_leases = connection.scalar(
        select(func.count()).select_from(attempts).where(attempts.c.ended_at.is_(None))
    )
    seen = connection.execute(
        select(workers.c.last_seen_at, workers.c.ttl_s).where(
            workers.c.replaced_at.is_(None), workers.c.status == "online"
        )
    )
    online = sum((now - last_seen).total_seconds() <= ttl_s for last_seen, ttl_s in seen)
    waiting_since = connection.scalar(
        select(func.min(stages.c.ready_at))
        .join(trials, trials.c.id == stages.c.trial_id)
        .where(stages.c.status == StageStatus.READY, trials.c.status == TrialStatus.RUNNING)
    )
    oldest_s = 0.0
    if waiting_since is not None:
        oldest_s = max(0.0, (now - waiting_since).total_seconds())
    return FleetCounts(by_trial_status, by_experiment_status, open_leases or 0, online, oldest_s)
