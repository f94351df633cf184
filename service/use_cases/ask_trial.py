"""Hands the next candidate to a loop that evaluates it elsewhere."""

from datetime import timedelta

from sqlalchemy import Connection, literal

from service.domain.errors import BudgetExhausted, NoCandidateReady, TransitionRefused
from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.trial import TrialStatus
from service.schemas.trials import AskReply, AskRequest
from service.storage.claims import next_stage
from service.storage.clock import database_now
from service.storage.experiments import (
    find_experiment,
    is_space_exhausted,
    lock_experiment,
    trial_counts,
)
from service.storage.leases import open_lease
from service.storage.trials import trial_by_id
from service.use_cases.advance_trial import begin_attempt
from service.use_cases.instant_candidate import add_instant_candidate

_ANYTHING = literal(value=True)


def ask_trial(
    connection: Connection, experiment_id: str, request: AskRequest, token_id: str | None
) -> AskReply:
    """A candidate, leased until it is told or `lease_seconds` have passed.

    From an empty pool a quasi-random one at once, unless the experiment prefers to wait.
    Raises: NoCandidateReady if one may come soon; BudgetExhausted if none will;
        TransitionRefused if the experiment is not running, or workers run its trials.
    """
    experiment = lock_experiment(connection, experiment_id)
    require_external(experiment)
    if experiment.status in (ExperimentStatus.PAUSED, ExperimentStatus.STOPPED):
        raise TransitionRefused(
            f"Experiment {experiment.spec.name!r} is {experiment.status}.",
            remedy="Resume it." if experiment.status is ExperimentStatus.PAUSED else None,
        )
    found = next_stage(connection, experiment.id, _ANYTHING)
    if found is None and add_instant_candidate(connection, experiment):
        experiment = find_experiment(connection, experiment.id)
        found = next_stage(connection, experiment.id, _ANYTHING)
    if found is None:
        raise _why_none(connection, experiment)
    trial = trial_by_id(connection, found.trial_id)
    stage = next(stage for stage in trial.stages if stage.id == found.stage_id)
    now = database_now(connection)
    lease = open_lease(
        connection,
        stage,
        trial.id,
        experiment.id,
        now=now,
        expires_at=now + timedelta(seconds=request.lease_seconds),
        token_id=token_id,
    )
    if lease is None:
        raise NoCandidateReady(remedy="Ask again.")
    begin_attempt(connection, trial, lease, now)
    return AskReply(
        trial=trial_by_id(connection, trial.id),
        lease_id=lease.id,
        epoch=lease.epoch,
        expires_at=lease.expires_at,
    )


def require_external(experiment: Experiment) -> None:
    """Refuses ask and tell where workers run the trials. Raises: TransitionRefused."""
    if not experiment.is_external:
        raise TransitionRefused(
            f"The trials of {experiment.spec.name!r} are run by workers.",
            remedy="Ask and tell need an experiment without search_space.",
        )


def _why_none(connection: Connection, experiment: Experiment) -> NoCandidateReady | BudgetExhausted:
    counts = trial_counts(connection, [experiment.id])[experiment.id]
    running = counts[TrialStatus.RUNNING]
    spent = experiment.trials_created >= experiment.budget_trials
    none_left = spent or is_space_exhausted(connection, experiment.id)
    is_full = running >= experiment.spec.max_parallel
    if counts[TrialStatus.CANDIDATE] > 0 or (is_full and not none_left):
        return NoCandidateReady(
            f"{running} trials are out, as many as max_parallel allows.",
            field="max_parallel",
            remedy="Tell one of them first.",
        )
    if none_left:
        return BudgetExhausted(
            f"All {experiment.trials_created} trials have been handed out; {running} await tell.",
            field="budget.trials",
            remedy="Raise the budget.",
        )
    return NoCandidateReady(remedy="Ask again.")
