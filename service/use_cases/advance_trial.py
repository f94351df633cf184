"""Moves a trial on after an attempt has ended, and its experiment after the trial.

Every function here runs under the experiment's lock.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.lease import Lease
from service.domain.trial import AttemptOutcome, Stage, StageStatus, Trial, TrialStatus
from service.storage.experiments import (
    find_experiment,
    is_space_exhausted,
    record_change,
    set_experiment_status,
    trial_counts,
)
from service.storage.leases import close_lease
from service.storage.target_profiles import free_if_unmeasured
from service.storage.trials import cancel_open_stages, set_stage_status, set_trial_status
from service.use_cases.apply_stop_rules import stop_if_stalled


def begin_attempt(connection: Connection, trial: Trial, lease: Lease, now: datetime) -> None:
    """Records the new attempt; a candidate becomes a running trial."""
    if trial.status is TrialStatus.CANDIDATE:
        set_trial_status(connection, trial, TrialStatus.RUNNING, now=now)
    data = {
        "stage": stage_of(trial, lease).name,
        "lease_id": lease.id,
        "epoch": lease.epoch,
        "worker_id": lease.worker_id,
    }
    record_change(connection, trial.experiment_id, "attempt_started", trial.number, data)


def end_attempt(
    connection: Connection,
    trial: Trial,
    lease: Lease,
    outcome: AttemptOutcome,
    stage_status: StageStatus,
    *,
    now: datetime,
    message: str | None = None,
    detail: str | None = None,
    environment: dict[str, Any] | None = None,
    only_if_expired: bool = False,
) -> None:
    """Closes the lease and records it. Raises: LeaseLost, having changed nothing."""
    close_lease(
        connection,
        lease,
        outcome,
        stage_status,
        now=now,
        message=message,
        detail=detail,
        environment=environment,
        counts=outcome is not AttemptOutcome.PREEMPTED,
        only_if_expired=only_if_expired,
    )
    stage = stage_of(trial, lease)
    if stage.target is not None:
        free_if_unmeasured(connection, trial.experiment_id, stage.target)
    data = {"stage": stage.name, "lease_id": lease.id, "epoch": lease.epoch}
    record_change(connection, trial.experiment_id, f"attempt_{outcome}", trial.number, data=data)


def stage_of(trial: Trial, lease: Lease) -> Stage:
    """The stage that the lease is on."""
    return next(stage for stage in trial.stages if stage.id == lease.stage_id)


def end_without_result(
    connection: Connection,
    experiment: Experiment,
    trial: Trial,
    lease: Lease,
    outcome: AttemptOutcome,
    *,
    now: datetime,
    message: str,
    detail: str | None = None,
    environment: dict[str, Any] | None = None,
    only_if_expired: bool = False,
) -> None:
    """Ends an attempt that gave no result; decides whether the stage is tried again.

    A recipe's failure is final; a machine's is tried again while attempts are left; a
    preempted one always. A trial that was told to stop is not tried again.
    Raises: LeaseLost, having changed nothing.
    """
    stage = stage_of(trial, lease)
    final = outcome is AttemptOutcome.FAILED or (
        outcome is not AttemptOutcome.PREEMPTED and stage.attempts >= experiment.spec.max_attempts
    )
    if trial.stop_requested is not None:
        stage_status = StageStatus.CANCELLED
    else:
        stage_status = StageStatus.FAILED if final else StageStatus.READY
    end_attempt(
        connection,
        trial,
        lease,
        outcome,
        stage_status,
        now=now,
        message=message,
        detail=detail,
        environment=environment,
        only_if_expired=only_if_expired,
    )
    if trial.stop_requested is not None:
        end_stopped_trial(connection, experiment, trial, now)
    elif final:
        tries = "" if stage.attempts == 1 else f" ({stage.attempts} attempts)"
        end_trial(
            connection,
            experiment,
            trial,
            TrialStatus.FAILED,
            now=now,
            reason=f"{stage.name}: {message}{tries}",
        )


def end_stopped_trial(
    connection: Connection, experiment: Experiment, trial: Trial, now: datetime
) -> None:
    """Ends a running trial that was told to stop and has no stage leased any more.

    `stop` keeps what a finished stage has measured, as early stopped; otherwise cancelled.
    """
    kept = trial.stop_requested == "stop" and bool(trial.measurements)
    end_trial(
        connection,
        experiment,
        trial,
        TrialStatus.EARLY_STOPPED if kept else TrialStatus.CANCELLED,
        now=now,
        reason=trial.reason,
    )


def end_trial(
    connection: Connection,
    experiment: Experiment,
    trial: Trial,
    status: TrialStatus,
    *,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Makes the trial final, cancels what nobody works on, and ends the experiment if it is time.

    A result may be the one after which a stop rule ends the search.
    """
    cancel_open_stages(connection, trial.id, now)
    set_trial_status(connection, trial, status, now=now, reason=reason)
    if status in (TrialStatus.COMPLETED, TrialStatus.EARLY_STOPPED):
        stop_if_stalled(connection, experiment, now)
    complete_experiment_if_done(connection, experiment.id)


def start_next_stage(connection: Connection, trial: Trial, ended: Stage) -> bool:
    """Makes the stage after `ended` ready; false if it was the last."""
    for stage in trial.stages:
        if stage.position > ended.position and stage.status is StageStatus.WAITING:
            set_stage_status(connection, stage.id, StageStatus.READY)
            return True
    return False


def complete_experiment_if_done(connection: Connection, experiment_id: str) -> None:
    """Completes the experiment once no trial can be created and all have ended."""
    experiment = find_experiment(connection, experiment_id)
    if experiment.status not in (ExperimentStatus.RUNNING, ExperimentStatus.PAUSED):
        return
    spent = experiment.trials_created >= experiment.budget_trials
    ended = spent or experiment.stopped_by is not None
    if not ended and not is_space_exhausted(connection, experiment_id):
        return
    counts = trial_counts(connection, [experiment_id])[experiment_id]
    if all(status.is_final or not count for status, count in counts.items()):
        set_experiment_status(connection, experiment, ExperimentStatus.COMPLETED)
