"""Keeps candidates ready ahead of demand, never beyond the budget."""

from collections.abc import Sequence

from sqlalchemy import Connection

from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.trial import StageKind, Trial, TrialStatus
from service.optimizer.optimizer import Observation, Suggestion, SuggestRequest
from service.storage.attempts import open_lease_count
from service.storage.clock import database_now
from service.storage.columns import require_finite
from service.storage.experiments import (
    find_experiment,
    is_space_exhausted,
    lock_experiment,
    record_change,
    running_experiments_with_budget,
    set_space_exhausted,
    trial_counts,
)
from service.storage.measured_ahead import measured_ahead_count
from service.storage.trials import (
    insert_candidate,
    known_signatures,
    trial_by_id,
    trials_of_experiment,
)
from service.use_cases.advance_trial import complete_experiment_if_done

_LEAST_POOL = 2
_WORKER_STAGES: tuple[StageKind, ...] = ("train", "measure")
_MEASURED_FIRST: tuple[StageKind, ...] = ("measure", "train")
_EXTERNAL_STAGES: tuple[StageKind, ...] = ("external",)
_TAUGHT = (TrialStatus.COMPLETED, TrialStatus.INFEASIBLE, TrialStatus.EARLY_STOPPED)
_PENDING = (TrialStatus.CANDIDATE, TrialStatus.RUNNING)


def experiments_needing_candidates(connection: Connection) -> list[str]:
    """Ids of the running experiments whose pool is short and whose budget is not spent."""
    return [
        id_
        for id_ in running_experiments_with_budget(connection)
        if _shortage(connection, find_experiment(connection, id_)) > 0
    ]


def suggestion_request(connection: Connection, experiment_id: str) -> SuggestRequest | None:
    """All that the optimizer is to know, and how many candidates the pool lacks.

    None: the pool is full, the budget spent, no new arm left, or it is not running.
    """
    experiment = find_experiment(connection, experiment_id)
    count = _shortage(connection, experiment)
    if count < 1:
        return None
    spec = experiment.spec
    trials = trials_of_experiment(connection, experiment.id)
    taught = [trial for trial in trials if trial.status in _TAUGHT]
    taught.sort(key=lambda trial: (trial.ended_at or trial.created_at, trial.number))
    return SuggestRequest(
        space=experiment.space,
        objectives=spec.objectives,
        outcome_constraints=spec.outcome_constraints,
        observations=tuple(
            Observation(arm=trial.arm, status=trial.status, measurements=trial.measurements)
            for trial in taught
        ),
        partial=tuple(
            Observation(arm=trial.arm, status=trial.status, measurements=trial.measurements)
            for trial in trials
            if trial.status is TrialStatus.RUNNING and trial.measurements
        ),
        pending=tuple(trial.arm for trial in trials if trial.status in _PENDING),
        excluded=tuple(trial.arm for trial in trials if trial.status not in _TAUGHT + _PENDING),
        initial_trials=spec.optimizer.initial_trials or 0,
        count=count,
        seed=spec.seed,
        strategy=spec.optimizer.strategy,
        budget_trials=experiment.budget_trials,
    )


def add_candidates(
    connection: Connection, experiment_id: str, suggestions: Sequence[Suggestion]
) -> list[Trial]:
    """The new candidates: those that pool and budget still have room for.

    Several suggesters may have answered the same shortage; what is too much is dropped here,
    under the experiment's lock, and so is an arm that a trial already has.
    """
    experiment = lock_experiment(connection, experiment_id)
    room = _shortage(connection, experiment)
    known = known_signatures(connection, experiment_id, [s.arm.signature for s in suggestions])
    now = database_now(connection)
    added: list[Trial] = []
    for suggestion in suggestions:
        if len(added) >= room or suggestion.arm.signature in known:
            continue
        known.add(suggestion.arm.signature)
        require_finite(suggestion.note, "note")
        trial_id = insert_candidate(
            connection,
            experiment,
            experiment.space.canonical(suggestion.arm.parameters),
            stage_kinds(experiment),
            source=suggestion.source,
            note=suggestion.note,
            now=now,
        )
        added.append(trial_by_id(connection, trial_id))
    return added


def note_space_exhausted(connection: Connection, experiment_id: str) -> None:
    """No new arm is left: nothing more is asked for, and the experiment ends with its trials."""
    experiment = lock_experiment(connection, experiment_id)
    if is_space_exhausted(connection, experiment.id):
        return
    set_space_exhausted(connection, experiment.id)
    record_change(connection, experiment.id, "space_exhausted")
    complete_experiment_if_done(connection, experiment.id)


def stage_kinds(experiment: Experiment) -> tuple[StageKind, ...]:
    """The stages that a new trial of the experiment goes through, in order."""
    if experiment.is_external:
        return _EXTERNAL_STAGES
    return _MEASURED_FIRST if experiment.spec.measurement.untrained else _WORKER_STAGES


def _shortage(connection: Connection, experiment: Experiment) -> int:
    """How many more candidates there should be now."""
    if experiment.status is not ExperimentStatus.RUNNING or experiment.stopped_by is not None:
        return 0
    if is_space_exhausted(connection, experiment.id):
        return 0
    pool_size = experiment.spec.optimizer.pool_size
    if pool_size is None:
        busy_slots = open_lease_count(connection, experiment.id)
        pool_size = max(_LEAST_POOL, busy_slots)
    counts = trial_counts(connection, [experiment.id])[experiment.id]
    budget_left = experiment.budget_trials - experiment.trials_created
    # A trial measured ahead of its training is still in the pool: nobody has begun on it in
    # earnest, and were it not counted, the whole budget would be measured before one is trained.
    in_pool = counts[TrialStatus.CANDIDATE] + measured_ahead_count(connection, experiment.id)
    return min(budget_left, pool_size - in_pool)
