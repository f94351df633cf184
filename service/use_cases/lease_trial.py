"""Gives a worker the next stage it can work off."""

from datetime import timedelta

from sqlalchemy import ColumnElement, Connection

from service.domain.device import THIS_HOST
from service.domain.errors import WorkerNotFound
from service.domain.experiment import Experiment
from service.domain.lease import Lease, LeaseTimes
from service.domain.trial import Stage, StageStatus, Trial
from service.domain.trial_seed import trial_seed
from service.schemas.leases import InputArtifact, LeaseGrant
from service.storage.attempt_records import artifacts_of
from service.storage.attempts import lease_load, recorded_attempt_ids
from service.storage.claims import (
    experiments_with_empty_pool,
    experiments_with_work,
    next_stage,
    work_for,
)
from service.storage.clock import database_now
from service.storage.experiments import find_experiment, lock_experiment
from service.storage.leases import open_lease
from service.storage.trials import trial_by_id
from service.storage.workers import WorkerRow, lock_device, lock_worker, note_seen
from service.use_cases.advance_trial import begin_attempt, stage_of
from service.use_cases.instant_candidate import add_instant_candidate
from service.use_cases.top_up_candidates import stage_kinds

_QUICK_BEATS = 5
"""So many times as often as others a training reports that may be stopped early."""


def lease_trial(connection: Connection, worker_id: str, times: LeaseTimes) -> LeaseGrant | None:
    """A lease on one stage, in one transaction; None: nothing to do now.

    What is begun is finished first, then candidates start: only in running experiments, only
    within `max_parallel`. Where the pool is empty, a quasi-random candidate is made at once.
    A worker holds no more leases than slots, and a device is measured on by one at a time. All
    of it is decided under the locks of worker, device and experiment, so that concurrent claims
    never exceed a limit or share a stage.
    Raises: WorkerNotFound if the worker is unknown, stopped, or replaced by a later session.
    """
    worker = lock_worker(connection, worker_id)
    if worker.status == "stopped":
        raise WorkerNotFound(
            f"Worker {worker.name!r} has stopped, or registered again as another session.",
            field="worker_id",
            remedy="Register with POST /v1/workers.",
        )
    note_seen(connection, worker_id)
    if worker.status == "draining":
        return None
    measures = "measure" in worker.stages
    if measures:
        lock_device(connection, worker.device)
    leases, is_measuring = lease_load(connection, worker_id, worker.device)
    if leases >= worker.slots:
        return None
    device_is_free = measures and not is_measuring
    which = work_for(worker, device_is_free=device_is_free)
    for experiment_id in experiments_with_work(connection, which):
        grant = _claim_in(connection, experiment_id, worker, which, times)
        if grant is not None:
            return grant
    for experiment_id in experiments_with_empty_pool(connection, worker):
        if _takes_new_trials(worker, find_experiment(connection, experiment_id), device_is_free):
            grant = _claim_in(connection, experiment_id, worker, which, times, at_once=True)
            if grant is not None:
                return grant
    return None


def _takes_new_trials(worker: WorkerRow, experiment: Experiment, device_is_free: bool) -> bool:
    first = stage_kinds(experiment)[0]
    if first not in worker.stages:
        return False
    settings = experiment.spec.measurement
    targets = (*worker.targets, THIS_HOST)
    return first != "measure" or (
        device_is_free and settings.runtime in worker.runtimes and settings.target in targets
    )


def _claim_in(
    connection: Connection,
    experiment_id: str,
    worker: WorkerRow,
    which: ColumnElement[bool],
    times: LeaseTimes,
    *,
    at_once: bool = False,
) -> LeaseGrant | None:
    """The experiment's next stage; at_once: of a new candidate, if its pool is empty."""
    # Rolled back where nothing is found, which gives the experiment's lock back: a claim that
    # held two experiments could deadlock with another that takes them the other way round.
    attempt = connection.begin_nested()
    experiment = lock_experiment(connection, experiment_id)
    is_new = at_once and add_instant_candidate(connection, experiment)
    found = next_stage(connection, experiment_id, which)
    if found is None:
        if is_new:
            attempt.commit()  # it stays in the pool, and in the budget, for another worker
        else:
            attempt.rollback()
        return None
    trial_id, stage_id = found
    trial = trial_by_id(connection, trial_id, with_measurements=False)
    stage = next(stage for stage in trial.stages if stage.id == stage_id)
    now = database_now(connection)
    lease = open_lease(
        connection,
        stage,
        trial.id,
        experiment.id,
        now=now,
        expires_at=now + timedelta(seconds=times.ttl_s),
        worker_id=worker.id,
        measure_device=worker.device if stage.kind == "measure" else None,
    )
    if lease is None:
        attempt.rollback()
        return None
    begin_attempt(connection, trial, lease, now)
    attempt.commit()
    inputs = _inputs(connection, trial)
    return _grant(experiment, trial, lease, times, inputs)


def _inputs(connection: Connection, trial: Trial) -> tuple[InputArtifact, ...]:
    """The files that the completed stages of the trial have left behind."""
    completed = {s.name for s in trial.stages if s.status is StageStatus.COMPLETED}
    if not completed:
        return ()
    files = artifacts_of(connection, recorded_attempt_ids(connection, trial.id))
    return tuple(
        InputArtifact(name=file.name, sha256=file.sha256, size_bytes=file.size_bytes)
        for file in files
        if file.stage in completed
    )


def _heartbeat_s(experiment: Experiment, stage: Stage, times: LeaseTimes) -> float:
    """Shorter where a training may be stopped early: its curve comes and the word goes by it."""
    if stage.kind == "train" and experiment.spec.early_stopping is not None:
        return times.heartbeat_s / _QUICK_BEATS
    return times.heartbeat_s


def _grant(
    experiment: Experiment,
    trial: Trial,
    lease: Lease,
    times: LeaseTimes,
    inputs: tuple[InputArtifact, ...],
) -> LeaseGrant:
    spec = experiment.spec
    if spec.search_space is None:
        raise RuntimeError(f"experiment {experiment.id} has no search space to train in")
    stage = stage_of(trial, lease)
    return LeaseGrant(
        lease_id=lease.id,
        epoch=lease.epoch,
        expires_at=lease.expires_at,
        ttl_s=times.ttl_s,
        heartbeat_s=_heartbeat_s(experiment, stage, times),
        experiment_id=experiment.id,
        experiment_name=spec.name,
        trial_number=trial.number,
        stage=stage.name,
        stage_kind=stage.kind,
        search_space=spec.search_space,
        arm=trial.arm,
        seed=trial_seed(spec.seed, trial.number, trial.training_key),
        training=spec.training,
        measurement=spec.measurement,
        inputs=inputs,
    )
