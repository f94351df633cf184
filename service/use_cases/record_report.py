"""Records how an attempt ended, by the holder of the newest lease only.

Repeating a report gets the answer that it got the first time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from search_spaces.values import Value
from service.domain.experiment import Experiment
from service.domain.lease import Lease
from service.domain.missed_bound import missed_bound
from service.domain.planned_stages import metrics_of_stage
from service.domain.trial import AttemptOutcome, Stage, StageStatus, Trial, TrialStatus
from service.schemas.leases import CompleteRequest, FailRequest, InfeasibleRequest, ReportReply
from service.storage.artifact_rows import find_artifact
from service.storage.attempt_records import attach_artifacts
from service.storage.clock import database_now
from service.storage.columns import require_finite
from service.storage.experiments import lock_experiment
from service.storage.leases import find_lease, keep_reply, kept_reply, lease_lost, measured_device
from service.storage.trials import keep_measurements, statuses_of, trial_by_id
from service.use_cases.advance_trial import (
    end_attempt,
    end_stopped_trial,
    end_trial,
    end_without_result,
    stage_of,
    start_next_stage,
)
from service.use_cases.check_measurements import check_measurements, require_metrics
from service.use_cases.hold_worker import quarantine_if_failing
from service.use_cases.keep_calibrations import keep_calibrations
from service.use_cases.report_digest import report_digest
from service.use_cases.share_trainings import share_trainings

_OUTCOME_OF_FAULT = {
    "machine": AttemptOutcome.MACHINE_FAILED,
    "recipe": AttemptOutcome.FAILED,
    "preempted": AttemptOutcome.PREEMPTED,
}


@dataclass(frozen=True)
class _Held:
    """An open lease under the experiment's lock, and all that it is on."""

    lease: Lease
    experiment: Experiment
    trial: Trial
    stage: Stage
    now: datetime


def record_complete(connection: Connection, lease_id: str, request: CompleteRequest) -> ReportReply:
    """Keeps the stage's result; the next stage becomes ready, or the trial is completed.

    A trial whose measurements prove that it misses a bound is infeasible before it trains.
    Raises: LeaseNotFound, LeaseLost, UnknownMetric, MeasurementMissing, ArtifactNotFound,
        InvalidRequest.
    """

    def record(held: _Held) -> None:
        require_finite(request.environment, "environment")
        found = check_measurements(held.experiment, request.measurements)
        for index, artifact in enumerate(request.artifacts):
            find_artifact(connection, artifact.sha256, field=f"artifacts.{index}.sha256")
        is_last = held.stage.position == held.trial.stages[-1].position
        known = held.trial.measurements | found
        if not request.early_stopped:
            own = metrics_of_stage(held.experiment, held.trial, held.stage)
            require_metrics(held.experiment, known, among=own)
            if is_last:
                require_metrics(held.experiment, known)
        outcome, stage_status = (
            (AttemptOutcome.EARLY_STOPPED, StageStatus.EARLY_STOPPED)
            if request.early_stopped
            else (AttemptOutcome.SUCCEEDED, StageStatus.COMPLETED)
        )
        end_attempt(
            connection,
            held.trial,
            held.lease,
            outcome,
            stage_status,
            now=held.now,
            environment=request.environment,
        )
        keep_measurements(connection, held.trial.id, held.lease.id, found)
        attach_artifacts(connection, held.lease.id, [(a.name, a.sha256) for a in request.artifacts])
        device = measured_device(connection, held.lease.id) if request.calibrations else None
        if device is not None:
            keep_calibrations(connection, device, request.calibrations)
        trial = held.trial.model_copy(update={"measurements": known})
        if request.early_stopped:
            end_trial(
                connection,
                held.experiment,
                trial,
                TrialStatus.EARLY_STOPPED,
                now=held.now,
                reason=trial.reason,
            )
        elif is_last:
            end_trial(connection, held.experiment, trial, TrialStatus.COMPLETED, now=held.now)
        elif trial.stop_requested is not None:
            end_stopped_trial(connection, held.experiment, trial, held.now)
        else:
            _go_on(connection, held, trial)
        share_trainings(connection, held.experiment)

    return _report(connection, lease_id, request.epoch, request, record)


def _go_on(connection: Connection, held: _Held, trial: Trial) -> None:
    """Starts the next stage, unless a training lies ahead that can no longer pay."""
    trains_later = any(
        stage.kind == "train" and stage.position > held.stage.position for stage in trial.stages
    )
    missed = missed_bound(held.experiment.spec, trial.measurements)
    if trains_later and missed is not None:
        end_trial(
            connection,
            held.experiment,
            trial,
            TrialStatus.INFEASIBLE,
            now=held.now,
            reason=f"{missed}: not trained",
        )
    else:
        start_next_stage(connection, trial, held.stage)


def record_failure(connection: Connection, lease_id: str, request: FailRequest) -> ReportReply:
    """Ends the attempt; the stage is tried again unless the recipe is at fault.

    Raises: LeaseNotFound, LeaseLost, InvalidRequest.
    """

    def record(held: _Held) -> None:
        require_finite(request.environment, "environment")
        end_without_result(
            connection,
            held.experiment,
            held.trial,
            held.lease,
            _OUTCOME_OF_FAULT[request.fault],
            now=held.now,
            message=request.message,
            detail=request.detail,
            environment=request.environment,
        )
        if request.fault == "machine" and held.lease.worker_id is not None:
            quarantine_if_failing(connection, held.lease.worker_id, request.message)

    return _report(connection, lease_id, request.epoch, request, record)


def record_infeasible(
    connection: Connection, lease_id: str, request: InfeasibleRequest
) -> ReportReply:
    """Ends the trial for good: the arm itself is at fault. Its measurements so far are kept.

    Raises: LeaseNotFound, LeaseLost, UnknownMetric, InvalidRequest.
    """

    def record(held: _Held) -> None:
        require_finite(request.environment, "environment")
        found = check_measurements(held.experiment, request.measurements)
        end_attempt(
            connection,
            held.trial,
            held.lease,
            AttemptOutcome.INFEASIBLE,
            StageStatus.INFEASIBLE,
            now=held.now,
            message=request.reason,
            environment=request.environment,
        )
        keep_measurements(connection, held.trial.id, held.lease.id, found)
        end_trial(
            connection,
            held.experiment,
            held.trial,
            TrialStatus.INFEASIBLE,
            now=held.now,
            reason=request.reason,
        )

    return _report(connection, lease_id, request.epoch, request, record)


def _report(
    connection: Connection,
    lease_id: str,
    epoch: int,
    request: Value,
    record: Callable[[_Held], None],
) -> ReportReply:
    # Which experiment to lock is never changed; all else is read again under the lock.
    experiment = lock_experiment(connection, find_lease(connection, lease_id).experiment_id)
    lease = find_lease(connection, lease_id)
    if lease.epoch != epoch:
        raise lease_lost(connection, lease_id)
    digest = report_digest(request)
    if lease.ended_at is not None:
        reply = kept_reply(connection, lease_id, digest)
        if reply is None:
            raise lease_lost(connection, lease_id)
        return ReportReply.model_validate(reply)
    trial = trial_by_id(connection, lease.trial_id)
    record(_Held(lease, experiment, trial, stage_of(trial, lease), database_now(connection)))
    trial_status, stage_status = statuses_of(connection, lease.stage_id)
    answer = ReportReply(
        trial_number=trial.number, trial_status=trial_status, stage_status=stage_status
    )
    keep_reply(connection, lease_id, digest, answer.model_dump(mode="json"))
    return answer
