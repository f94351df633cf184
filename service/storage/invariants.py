"""What must hold in the database at every commit; asked by tests and by `archfront doctor`.

Visible here: I1 no trial lost, I2 one result per stage and final states for good, I3 epochs,
I5 limits, I8 leased if and only if one open attempt, I10 finite numbers and gap-free logs,
I11 artifacts as recorded, I12 arms inside their space, I14 slots and devices, and that the
events tell the trials' states. I4, I6, I7, I13 and I15 to I17 speak of requests, crashes and
restarts, which no single look at the database shows.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, or_, select

from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.trial import (
    MANUAL_SOURCE,
    REPLICATE_SOURCE,
    TRIAL_TRANSITIONS,
    AttemptOutcome,
    StageStatus,
    Trial,
    TrialStatus,
)
from service.storage.artifacts import ArtifactStore
from service.storage.experiments import find_experiment
from service.storage.tables import (
    RECORDED_OUTCOMES,
    artifacts,
    attempts,
    checkpoints,
    curve_points,
    events,
    experiments,
    log_chunks,
    measurements,
    stages,
    trials,
    workers,
)
from service.storage.trials import trials_of_experiment

_ENDED_BY = {
    AttemptOutcome.SUCCEEDED: StageStatus.COMPLETED,
    AttemptOutcome.EARLY_STOPPED: StageStatus.EARLY_STOPPED,
    AttemptOutcome.INFEASIBLE: StageStatus.INFEASIBLE,
}


def check_invariants(
    connection: Connection, artifact_store: ArtifactStore | None = None
) -> list[str]:
    """What is broken, one sentence each; empty if all is well. Reads every row."""
    checks: list[Callable[[Connection], Iterable[str]]] = [
        _experiments_and_trials,
        _attempts,
        _workers,
        _numbers,
        _logs,
        _checkpoints,
        _events,
    ]
    broken = [problem for check in checks for problem in check(connection)]
    if artifact_store is not None:
        broken += _artifacts(connection, artifact_store)
    return broken


def _experiments_and_trials(connection: Connection) -> Iterator[str]:
    for experiment_id in connection.scalars(select(experiments.c.id)).all():
        experiment = find_experiment(connection, experiment_id)
        found = trials_of_experiment(connection, experiment_id)
        yield from _experiment(experiment, found)
        for trial in found:
            label = f"{experiment.spec.name} trial {trial.number}"
            for problem in (
                *_arm(experiment, trial),
                *_states(trial),
                *_results(experiment, trial),
            ):
                yield f"{label}: {problem}"


def _experiment(experiment: Experiment, found: list[Trial]) -> Iterator[str]:
    name = experiment.spec.name
    if [trial.number for trial in found] != list(range(experiment.trials_created)):
        yield f"I1 {name}: {experiment.trials_created} trials were accepted, {len(found)} are there"
    if experiment.trials_created > experiment.budget_trials:
        yield f"I5 {name}: {experiment.trials_created} trials exceed the budget"
    running = sum(t.status is TrialStatus.RUNNING and not t.awaits_training for t in found)
    if running > experiment.spec.max_parallel:
        yield f"I5 {name}: {running} trials run, max_parallel is {experiment.spec.max_parallel}"
    unfinished = [trial.number for trial in found if not trial.status.is_final]
    if experiment.status is ExperimentStatus.COMPLETED and unfinished:
        yield f"I1 {name}: completed although trials {unfinished} have not ended"
    if experiment.status is ExperimentStatus.STOPPED:
        candidates = [t.number for t in found if t.status is TrialStatus.CANDIDATE]
        if candidates:
            yield f"I1 {name}: stopped although trials {candidates} are candidates"
    going_on = experiment.status in (ExperimentStatus.RUNNING, ExperimentStatus.PAUSED)
    spent = experiment.trials_created == experiment.budget_trials
    if going_on and not unfinished and (spent or experiment.stopped_by is not None):
        yield f"I1 {name}: {experiment.status} although nothing is left to do"
    repeating = (MANUAL_SOURCE, REPLICATE_SOURCE)
    signatures = [trial.arm.signature for trial in found if trial.source not in repeating]
    if len(set(signatures)) != len(signatures):
        yield f"I13 {name}: the optimizer's arms repeat"
    arms = {trial.number: trial.arm for trial in found}
    for trial in found:
        if trial.source == REPLICATE_SOURCE and trial.arm != arms.get(trial.note["replicates"]):
            yield f"I13 {name}: trial {trial.number} repeats no other trial's arm"


def _arm(experiment: Experiment, trial: Trial) -> Iterator[str]:
    problems = experiment.space.problems_with(trial.arm.parameters)
    if problems:
        yield f"I12 the arm lies outside its space: {problems}"


def _states(trial: Trial) -> Iterator[str]:
    by_status = defaultdict(list)
    for stage in trial.stages:
        by_status[stage.status].append(stage.name)
    live = by_status[StageStatus.READY] + by_status[StageStatus.LEASED]
    if trial.status.is_final and (live or by_status[StageStatus.WAITING]):
        yield f"I1 {trial.status} with stages still open: {dict(by_status)}"
    if not trial.status.is_final and len(live) != 1:
        yield f"I1 {trial.status} with not one stage ready or leased: {dict(by_status)}"
    if trial.status is TrialStatus.CANDIDATE and by_status[StageStatus.LEASED]:
        yield "I1 candidate with a leased stage"
    if trial.status is TrialStatus.COMPLETED and len(by_status[StageStatus.COMPLETED]) != len(
        trial.stages
    ):
        yield f"I1 completed with stages {dict(by_status)}"
    seen_open = False
    for stage in trial.stages:
        if seen_open and stage.status in (StageStatus.READY, StageStatus.LEASED):
            yield f"I1 stage {stage.name} is ahead of an earlier one"
        seen_open = seen_open or stage.status is not StageStatus.COMPLETED


def _results(experiment: Experiment, trial: Trial) -> Iterator[str]:
    if trial.status is not TrialStatus.COMPLETED:
        return
    spec = experiment.spec
    needed = {objective.metric for objective in spec.objectives}
    needed |= {constraint.metric for constraint in spec.outcome_constraints}
    missing = needed - trial.measurements.keys()
    if missing:
        yield f"I10 completed without {', '.join(sorted(missing))}"


def _attempts(connection: Connection) -> Iterator[str]:
    attempts_of = defaultdict(list)
    for attempt in connection.execute(select(attempts).order_by(attempts.c.epoch)):
        attempts_of[attempt.stage_id].append(attempt)
    query = select(stages, experiments.c.max_attempts).join(
        experiments, experiments.c.id == stages.c.experiment_id
    )
    for stage in connection.execute(query):
        mine = attempts_of[stage.id]
        if [attempt.epoch for attempt in mine] != list(range(1, stage.epoch + 1)):
            yield f"I3 stage {stage.id}: epochs {[a.epoch for a in mine]}, newest {stage.epoch}"
        opened = [attempt for attempt in mine if attempt.ended_at is None]
        if (stage.status == StageStatus.LEASED) != (len(opened) == 1) or len(opened) > 1:
            yield f"I8 stage {stage.id} is {stage.status} with {len(opened)} open attempts"
        if any(attempt.epoch != stage.epoch for attempt in opened):
            yield f"I3 stage {stage.id}: an open attempt is not the newest"
        recorded = [attempt for attempt in mine if attempt.outcome in RECORDED_OUTCOMES]
        if len(recorded) > 1:
            yield f"I2 stage {stage.id} has {len(recorded)} recorded results"
        if any(attempt.epoch != stage.epoch for attempt in recorded):
            yield f"I3 stage {stage.id}: the recorded result is not of the newest epoch"
        expected = {_ENDED_BY[AttemptOutcome(attempt.outcome)] for attempt in recorded}
        if stage.shared_attempt_id is not None:
            yield from _shared(connection, stage, recorded)
            expected = {StageStatus.COMPLETED}
        if expected != {stage.status} & set(_ENDED_BY.values()):
            yield f"I2 stage {stage.id} is {stage.status} with results {expected or 'none'}"
        if stage.attempts > stage.max_attempts:
            yield f"I5 stage {stage.id} had {stage.attempts} of {stage.max_attempts} attempts"
    strays = select(measurements.c.trial_id, measurements.c.metric).where(
        measurements.c.attempt_id.notin_(
            select(attempts.c.id).where(
                attempts.c.outcome.in_(RECORDED_OUTCOMES),
                or_(
                    attempts.c.trial_id == measurements.c.trial_id,
                    exists().where(
                        stages.c.shared_attempt_id == attempts.c.id,
                        stages.c.trial_id == measurements.c.trial_id,
                    ),
                ),
            )
        )
    )
    for trial_id, metric in connection.execute(strays):
        yield f"I2 trial {trial_id}: {metric} comes from an attempt that was not recorded"


def _shared(connection: Connection, stage: Row[Any], recorded: list[Row[Any]]) -> Iterator[str]:
    """What is wrong with a stage that has taken another trial's training."""
    if recorded:
        yield f"I2 stage {stage.id} has a result of its own beside another trial's"
    trainer, own = trials.alias("trainer"), trials.alias("own")
    query = (
        select(attempts.c.id)
        .join(trainer, trainer.c.id == attempts.c.trial_id)
        .join(own, own.c.training_key == trainer.c.training_key)
        .where(
            attempts.c.id == stage.shared_attempt_id,
            attempts.c.outcome == AttemptOutcome.SUCCEEDED,
            own.c.id == stage.trial_id,
            own.c.experiment_id == trainer.c.experiment_id,
        )
    )
    if connection.scalar(query) is None:
        yield f"I2 stage {stage.id} has taken {stage.shared_attempt_id}, not its own training"


def _workers(connection: Connection) -> Iterator[str]:
    held = (
        select(workers.c.name, workers.c.slots, func.count().label("leases"))
        .join(attempts, attempts.c.worker_id == workers.c.id)
        .where(attempts.c.ended_at.is_(None))
        .group_by(workers.c.id, workers.c.name, workers.c.slots)
    )
    for row in connection.execute(held):
        if row.leases > row.slots:
            yield f"I14 worker {row.name} holds {row.leases} leases with {row.slots} slots"
    measuring = (
        select(attempts.c.measure_device, func.count().label("leases"))
        .where(attempts.c.ended_at.is_(None), attempts.c.measure_device.is_not(None))
        .group_by(attempts.c.measure_device)
    )
    for row in connection.execute(measuring):
        if row.leases > 1:
            yield f"I14 {row.leases} measurements share the device {row.measure_device}"
    undeviced = (
        select(attempts.c.id)
        .join(stages, stages.c.id == attempts.c.stage_id)
        .where((stages.c.kind == "measure") != attempts.c.measure_device.is_not(None))
    )
    for lease_id in connection.scalars(undeviced):
        yield f"I14 lease {lease_id}: only measurements hold a device, and all of them do"
    targetless = select(stages.c.id).where(
        (stages.c.kind == "measure")
        != and_(stages.c.target.is_not(None), stages.c.runtime.is_not(None))
    )
    for stage_id in connection.scalars(targetless):
        yield f"I14 stage {stage_id}: only measurements have a target and a runtime, and all do"


def _numbers(connection: Connection) -> Iterator[str]:
    for row in connection.execute(select(measurements)):
        if not math.isfinite(row.mean) or not math.isfinite(row.sem or 0.0):
            yield f"I10 trial {row.trial_id}: {row.metric} is not finite"
    for row in connection.execute(select(curve_points)):
        if not math.isfinite(row.value):
            yield f"I10 attempt {row.attempt_id}: {row.metric} at {row.step} is not finite"


def _logs(connection: Connection) -> Iterator[str]:
    length: dict[str, int] = defaultdict(int)
    query = select(log_chunks).order_by(log_chunks.c.attempt_id, log_chunks.c.offset)
    for chunk in connection.execute(query):
        if chunk.offset != length[chunk.attempt_id]:
            yield f"I10 the log of {chunk.attempt_id} has a gap at {length[chunk.attempt_id]}"
        length[chunk.attempt_id] = chunk.offset + len(chunk.text)
    for lease_id, characters in connection.execute(
        select(attempts.c.id, attempts.c.log_characters)
    ):
        if length[lease_id] != characters:
            yield f"I10 the log of {lease_id} has {length[lease_id]} of {characters} characters"


def _checkpoints(connection: Connection) -> Iterator[str]:
    kept = (
        select(
            checkpoints,
            attempts.c.stage_id.label("of_attempt"),
            artifacts.c.size_bytes.label("stored"),
        )
        .join(attempts, attempts.c.id == checkpoints.c.attempt_id)
        .outerjoin(artifacts, artifacts.c.sha256 == checkpoints.c.sha256)
        .where(checkpoints.c.status == "kept")
    )
    for row in connection.execute(kept):
        if row.of_attempt != row.stage_id:
            yield f"I4 checkpoint {row.id} is of another stage than the attempt that left it"
        if row.stored != row.size_bytes:
            yield f"I11 checkpoint {row.id} has no artifact of {row.size_bytes} bytes"


def _events(connection: Connection) -> Iterator[str]:
    told: dict[tuple[str, int], TrialStatus] = {}
    prefix = "trial_"
    known = {f"{prefix}{status}" for status in TrialStatus}
    query = select(events).where(events.c.trial_number.is_not(None)).order_by(events.c.id)
    for event in connection.execute(query):
        if event.kind not in known:
            continue
        key = (event.experiment_id, event.trial_number)
        status = TrialStatus(event.kind.removeprefix(prefix))
        before = told.get(key)
        if before is None and status is not TrialStatus.CANDIDATE:
            yield f"events tell of {key} being {status} before it was created"
        if before is not None and status not in TRIAL_TRANSITIONS[before]:
            yield f"I2 events tell of {key} going from {before} to {status}"
        told[key] = status
    query_now = select(trials.c.experiment_id, trials.c.number, trials.c.status)
    for experiment_id, number, status in connection.execute(query_now):
        if told.pop((experiment_id, number), None) != status:
            yield f"events do not tell that trial {number} of {experiment_id} is {status}"
    for key in told:
        yield f"events tell of {key}, which is not there"


def _artifacts(connection: Connection, store: ArtifactStore) -> Iterator[str]:
    for row in connection.execute(select(artifacts)):
        if not store.exists(row.sha256):
            yield f"I11 artifact {row.sha256} is not in the store"
            continue
        digest = hashlib.sha256()
        size = 0
        for piece in store.open(row.sha256):
            digest.update(piece)
            size += len(piece)
        if (digest.hexdigest(), size) != (row.sha256, row.size_bytes):
            yield f"I11 artifact {row.sha256} differs from what was recorded"
