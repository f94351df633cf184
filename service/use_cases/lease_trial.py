"""Gives a worker the next stage it can work off."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection

from service.domain.device import OfferedTarget
from service.domain.errors import WorkerNotFound
from service.domain.experiment import Experiment
from service.domain.lease import Lease, LeaseTimes
from service.domain.planned_stages import metrics_of_stage, planned_stages
from service.domain.requirements import Requirements
from service.domain.trial import Stage, StageStatus, Trial
from service.domain.trial_seed import trial_seed
from service.schemas.leases import InputArtifact, LeaseGrant
from service.storage.attempt_records import artifacts_of
from service.storage.attempts import lease_load, recorded_attempt_ids
from service.storage.checkpoints import CheckpointRow, kept_checkpoint
from service.storage.claims import (
    experiments_with_empty_pool,
    experiments_with_work,
    next_stage,
    work_for,
)
from service.storage.clock import database_now
from service.storage.experiments import find_experiment, lock_experiment
from service.storage.leases import open_lease
from service.storage.target_profiles import bind_target
from service.storage.trials import trial_by_id
from service.storage.workers import WorkerRow, lock_devices, lock_worker, note_seen
from service.use_cases.advance_trial import begin_attempt, stage_of
from service.use_cases.instant_candidate import add_instant_candidate
from service.use_cases.keep_checkpoint import as_reference

_QUICK_BEATS = 5
"""So many times as often as others a training reports that may be stopped early."""


@dataclass(frozen=True)
class _Claim:
    """Who asks, which of its targets are free now, and the stages it could work off."""

    worker: WorkerRow
    free_targets: Mapping[str, OfferedTarget]
    which: ColumnElement[bool]
    times: LeaseTimes

    def which_in(self, experiment: Experiment) -> ColumnElement[bool]:
        """Of these stages those whose optional metrics, too, can be given where they are taken.

        Looked at once the experiment is locked and read anyway: few experiments ask for any, and
        all claims would pay for a filter in the statements.
        """
        asked = {stage.target: stage.optional_metrics for stage in planned_stages(experiment)}
        able = [
            target
            for target in self.free_targets.values()
            if set(asked.get(target.name, ())) <= set(target.metrics)
        ]
        return self.which if len(able) == len(self.free_targets) else work_for(self.worker, able)


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
    if worker.status == "draining" or worker.is_held:
        return None
    targets = {target.name: target for target in worker.targets if "measure" in worker.stages}
    if targets:
        lock_devices(connection, worker)
    devices = [target.device for target in targets.values()]
    leases, busy_devices = lease_load(connection, worker_id, devices)
    if leases >= worker.slots:
        return None
    free = {name: target for name, target in targets.items() if target.device not in busy_devices}
    claim = _Claim(worker, free, work_for(worker, free.values()), times)
    for experiment_id in experiments_with_work(connection, claim.which):
        grant = _claim_in(connection, experiment_id, claim)
        if grant is not None:
            return grant
    for experiment_id in experiments_with_empty_pool(connection, worker):
        if _takes_new_trials(claim, find_experiment(connection, experiment_id)):
            grant = _claim_in(connection, experiment_id, claim, at_once=True)
            if grant is not None:
                return grant
    return None


def _takes_new_trials(claim: _Claim, experiment: Experiment) -> bool:
    first = planned_stages(experiment)[0]
    if first.target is None:
        worker = claim.worker
        has_all = experiment.spec.requires.met_by(worker.labels, worker.resources)
        return first.kind in worker.stages and has_all
    target = claim.free_targets.get(first.target)
    return target is not None and first.fits(target)


def _claim_in(
    connection: Connection,
    experiment_id: str,
    claim: _Claim,
    *,
    at_once: bool = False,
) -> LeaseGrant | None:
    """The experiment's next stage; at_once: of a new candidate, if its pool is empty."""
    # Rolled back where nothing is found, which gives the experiment's lock back: a claim that
    # held two experiments could deadlock with another that takes them the other way round.
    attempt = connection.begin_nested()
    experiment = lock_experiment(connection, experiment_id)
    is_new = at_once and add_instant_candidate(connection, experiment)
    found = next_stage(connection, experiment_id, claim.which_in(experiment))
    if found is None:
        if is_new:
            attempt.commit()  # it stays in the pool, and in the budget, for another worker
        else:
            attempt.rollback()
        return None
    trial = trial_by_id(connection, found.trial_id, with_measurements=False)
    stage = next(stage for stage in trial.stages if stage.id == found.stage_id)
    target = claim.free_targets[stage.target] if stage.target else None
    now = database_now(connection)
    lease = open_lease(
        connection,
        stage,
        trial.id,
        experiment.id,
        now=now,
        expires_at=now + timedelta(seconds=claim.times.ttl_s),
        worker_id=claim.worker.id,
        measure_device=target.device if target else None,
    )
    if lease is None:
        attempt.rollback()
        return None
    if target and found.runtime and not found.is_bound:
        bind_target(connection, experiment.id, target, found.runtime)
    begin_attempt(connection, trial, lease, now)
    attempt.commit()
    return _grant(
        experiment,
        trial,
        lease,
        claim.times,
        inputs=_inputs(connection, trial),
        checkpoint=kept_checkpoint(connection, stage.id) if stage.kind == "train" else None,
    )


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
    *,
    inputs: tuple[InputArtifact, ...],
    checkpoint: CheckpointRow | None,
) -> LeaseGrant:
    spec = experiment.spec
    if spec.search_space is None:
        raise RuntimeError(f"experiment {experiment.id} has no search space to train in")
    stage = stage_of(trial, lease)
    on = next((target for target in spec.targets if target.name == stage.target), spec.targets[0])
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
        target=stage.target,
        measurement=on.settings(spec.measurement),
        metrics=tuple(metric.name for metric in metrics_of_stage(experiment, trial, stage)),
        inputs=inputs,
        checkpoint=None if checkpoint is None else as_reference(checkpoint),
        requires=spec.requires if stage.kind == "train" else Requirements(),
    )
