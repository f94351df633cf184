"""Records the result of an external stage, told by whoever ran it."""

from datetime import datetime

from sqlalchemy import Connection

from service.domain.errors import LeaseLost
from service.domain.experiment import Experiment
from service.domain.lease import Lease
from service.domain.measurement import Measurement
from service.domain.trial import AttemptOutcome, Stage, StageStatus, Trial, TrialStatus
from service.storage.leases import find_lease, open_lease
from service.storage.trials import keep_measurements
from service.use_cases.advance_trial import end_attempt, end_trial


def record_by_hand(
    connection: Connection,
    experiment: Experiment,
    trial: Trial,
    found: dict[str, Measurement],
    *,
    infeasible_reason: str | None,
    now: datetime,
) -> Lease:
    """Ends the trial with checked measurements, or as infeasible; gives the lease it ended.

    A stage that nobody holds is leased and ended in one go, so that a result is always an
    attempt's. Raises: LeaseLost if the stage has ended.
    """
    stage = trial.stages[-1]
    lease = _held_or_opened(connection, trial, stage, now)
    infeasible = infeasible_reason is not None
    end_attempt(
        connection,
        trial,
        lease,
        AttemptOutcome.INFEASIBLE if infeasible else AttemptOutcome.SUCCEEDED,
        StageStatus.INFEASIBLE if infeasible else StageStatus.COMPLETED,
        now=now,
        message=infeasible_reason,
    )
    keep_measurements(connection, trial.id, lease.id, found)
    end_trial(
        connection,
        experiment,
        trial,
        TrialStatus.INFEASIBLE if infeasible else TrialStatus.COMPLETED,
        now=now,
        reason=infeasible_reason,
    )
    return lease


def _held_or_opened(connection: Connection, trial: Trial, stage: Stage, now: datetime) -> Lease:
    if stage.lease_id is not None:
        return find_lease(connection, stage.lease_id)
    lease = open_lease(connection, stage, trial.id, trial.experiment_id, now=now, expires_at=now)
    if lease is None:
        raise LeaseLost(f"Trial {trial.number} has ended already: it is {trial.status}.")
    return lease
