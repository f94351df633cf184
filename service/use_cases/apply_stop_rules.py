"""Ends a search by its stop rules, and takes it up again where a person overrules one.

Every function here runs under the experiment's lock.
"""

from datetime import datetime

from sqlalchemy import Connection

from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.observed_front import trace_hypervolume
from service.domain.replicates import is_replicate
from service.domain.stop_rules import StopVerdict, no_gain_verdict
from service.domain.trial import MANUAL_SOURCE, StageStatus, Trial, TrialStatus
from service.storage.experiments import find_experiment, overrule_stop, set_stopped_by
from service.storage.trials import (
    cancel_open_stages,
    ready_again,
    set_trial_status,
    trials_of_experiment,
    unfinished_trials,
)

CANCELLED_BY_RULE = "The search had ended by its stop rule."
"""The reason of the candidates that a rule cancelled: they come back if it is overruled."""


def stop_if_stalled(connection: Connection, experiment: Experiment, now: datetime) -> None:
    """Ends the search if its hypervolume has stood still for as long as its rule says.

    experiment: as the caller knows it; what may have changed since is read again.
    """
    if experiment.stop_rules.no_gain is None:
        return
    experiment = find_experiment(connection, experiment.id)
    rule = experiment.stop_rules.no_gain
    if rule is None or not may_be_stopped(experiment):
        return
    trials = trials_of_experiment(connection, experiment.id)
    # A replicate is run for the sake of the noise and raises no hypervolume by design.
    replicates = {trial.number for trial in trials if is_replicate(trial)}
    trace = trace_hypervolume(experiment, trials)
    verdict = no_gain_verdict(
        rule,
        [p.hypervolume for p in trace.points if p.trial_number not in replicates],
        experiment.spec.optimizer.initial_trials or 0,
    )
    if verdict is not None:
        stop_search(connection, experiment, verdict, now)


def may_be_stopped(experiment: Experiment) -> bool:
    """Whether the search still goes on, be it paused."""
    going_on = experiment.status in (ExperimentStatus.RUNNING, ExperimentStatus.PAUSED)
    return going_on and experiment.stopped_by is None


def stop_search(
    connection: Connection, experiment: Experiment, verdict: StopVerdict, now: datetime
) -> None:
    """No new candidates; those that nobody has claimed are cancelled, running trials finished.

    A trial that was measured ahead of its training and waits for it counts as a candidate.

    Arms that a person attached are still run: they were asked for, not searched for. The
    caller completes the experiment if nothing is left.
    """
    set_stopped_by(connection, experiment.id, verdict)
    for trial in unfinished_trials(connection, experiment.id):
        if _is_unclaimed(trial) and trial.source != MANUAL_SOURCE:
            cancel_open_stages(connection, trial.id, now)
            set_trial_status(
                connection, trial, TrialStatus.CANCELLED, now=now, reason=CANCELLED_BY_RULE
            )


def take_up_search(connection: Connection, experiment: Experiment, now: datetime) -> None:
    """Switches off the rule that ended the search; the candidates it cancelled are back."""
    if experiment.stopped_by is None:
        return
    overrule_stop(connection, experiment)
    for trial in trials_of_experiment(connection, experiment.id):
        if _was_cancelled_by_rule(trial):
            set_trial_status(connection, trial, TrialStatus.CANDIDATE, now=now)
            ready_again(connection, trial)


def has_trials_to_take_up(connection: Connection, experiment: Experiment) -> bool:
    """Whether there are candidates that the rule cancelled."""
    return any(map(_was_cancelled_by_rule, trials_of_experiment(connection, experiment.id)))


def _is_unclaimed(trial: Trial) -> bool:
    """Whether nobody works on it and nothing dear has begun; it may be measured already."""
    if trial.status is TrialStatus.CANDIDATE:
        return True
    is_leased = any(stage.status is StageStatus.LEASED for stage in trial.stages)
    return trial.awaits_training and not is_leased


def _was_cancelled_by_rule(trial: Trial) -> bool:
    return trial.status is TrialStatus.CANCELLED and trial.reason == CANCELLED_BY_RULE
