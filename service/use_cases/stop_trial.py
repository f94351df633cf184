"""Stops trials by hand: one of them, or all of a stopped experiment."""

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from service.domain.errors import TransitionRefused
from service.domain.experiment import Experiment
from service.domain.trial import AttemptOutcome, StageStatus, Trial, TrialStatus
from service.storage.clock import database_now
from service.storage.experiments import lock_experiment
from service.storage.leases import find_lease
from service.storage.trials import find_trial, request_stop, trial_by_id
from service.use_cases.advance_trial import end_attempt, end_stopped_trial, end_trial


def stop_trial(connection: Connection, experiment_id: str, number: int, reason: str) -> Trial:
    """The trial, stopped or told to stop.

    A candidate is cancelled. A stage under way is told at its next heartbeat to stop early
    and report what it has; with none under way, the trial ends early stopped at once.
    Raises: ExperimentNotFound, TrialNotFound, TransitionRefused if it has ended.
    """
    experiment = lock_experiment(connection, experiment_id)
    trial = find_trial(connection, experiment.id, number)
    if trial.status.is_final:
        raise TransitionRefused(
            f"Trial {number} has ended already: it is {trial.status}.",
            field="trial_number",
        )
    end_by_wish(connection, experiment, trial, "stop", reason=reason, now=database_now(connection))
    return trial_by_id(connection, trial.id)


def end_by_wish(
    connection: Connection,
    experiment: Experiment,
    trial: Trial,
    how: Literal["stop", "cancel"],
    *,
    reason: str,
    now: datetime,
) -> None:
    """Ends an unfinished trial of the locked experiment, or has its worker told to."""
    if trial.status is TrialStatus.CANDIDATE:
        end_trial(connection, experiment, trial, TrialStatus.CANCELLED, now=now, reason=reason)
        return
    if trial.stop_requested == "cancel":
        how = "cancel"  # its worker is to drop the work already
    request_stop(connection, trial, how, reason)
    trial = trial_by_id(connection, trial.id)
    leased = next((s for s in trial.stages if s.status is StageStatus.LEASED), None)
    if leased is not None and leased.lease_id is not None:
        if leased.kind != "external":
            return
        # Whoever asked for it sends no heartbeats, so that nobody could be told.
        lease = find_lease(connection, leased.lease_id)
        end_attempt(
            connection, trial, lease, AttemptOutcome.CANCELLED, StageStatus.CANCELLED, now=now
        )
    end_stopped_trial(connection, experiment, trial, now)
