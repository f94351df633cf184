"""Finds the stages that may be worked off next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    not_,
    or_,
    select,
)

from service.domain.device import OfferedTarget
from service.domain.experiment import ExperimentStatus
from service.domain.trial import MANUAL_SOURCE, StageStatus, TrialStatus
from service.storage.measured_ahead import awaits_training
from service.storage.shared_trainings import waits_for_twin
from service.storage.tables import experiments, requirements, stages, target_profiles, trials
from service.storage.workers import WorkerRow

_KINDS_OF_WORKERS = 128
"""For so many kinds the statements are kept: to build one takes longer than to execute it."""

# What is begun is finished first, its measurement before its training; then arms chosen by
# hand, then the optimizer's, its favourites first.
_RANK: ColumnElement[int] = case(
    (and_(trials.c.status == TrialStatus.RUNNING, stages.c.kind == "measure"), 0),
    (trials.c.status == TrialStatus.RUNNING, 1),
    (trials.c.source == MANUAL_SOURCE, 2),
    else_=3,
).cast(Integer)
_POOL_RANK: ColumnElement[int] = case(
    (trials.c.status == TrialStatus.CANDIDATE, trials.c.pool_rank), else_=0
)

_running = trials.alias("running")
# A trial measured ahead of its training holds no place among the parallel ones: else a GPU
# would wait for a measurement whenever as many trials train as may.
# Materialised, so that it is counted in one go: as long as PostgreSQL knows nothing of the tables,
# it would take them for empty and count anew for each stage that it looks at.
_RUNNING = (
    select(_running.c.experiment_id, func.count().label("count"))
    .where(_running.c.status == TrialStatus.RUNNING, ~awaits_training(_running.c.id))
    .group_by(_running.c.experiment_id)
    .cte("running_trials")
    .prefix_with("MATERIALIZED")
)
_RUNNING_COUNT = func.coalesce(_RUNNING.c.count, 0)

# Measuring ahead needs no place among the parallel trials, the beginning of anything else does.
# A paused experiment finishes what is begun; a training that has not begun is not.
_MEASURES_AHEAD = and_(stages.c.kind == "measure", stages.c.position == 0)
_BEGINS = or_(
    trials.c.status == TrialStatus.CANDIDATE,
    and_(stages.c.kind == "train", stages.c.epoch == 0),
)
MAY_START = and_(
    ~waits_for_twin(),
    or_(
        and_(
            trials.c.status == TrialStatus.RUNNING,
            not_(_BEGINS),
            experiments.c.status.in_([ExperimentStatus.RUNNING, ExperimentStatus.PAUSED]),
        ),
        and_(
            trials.c.status.in_([TrialStatus.CANDIDATE, TrialStatus.RUNNING]),
            _BEGINS,
            experiments.c.status == ExperimentStatus.RUNNING,
            or_(_MEASURES_AHEAD, experiments.c.max_parallel > _RUNNING_COUNT),
        ),
    ),
)

_LACKS_BEGINNING = and_(
    experiments.c.max_parallel > _RUNNING_COUNT,
    ~exists(
        select(stages.c.id)
        .join(trials, trials.c.id == stages.c.trial_id)
        .where(
            stages.c.experiment_id == experiments.c.id,
            stages.c.status == StageStatus.READY,
            _BEGINS,
            ~waits_for_twin(),
        )
        .correlate(experiments)
    ),
)

_EXPERIMENTS = experiments.outerjoin(_RUNNING, _RUNNING.c.experiment_id == experiments.c.id)
STAGES_OF_EXPERIMENTS = (
    stages.join(trials, trials.c.id == stages.c.trial_id)
    .join(experiments, experiments.c.id == stages.c.experiment_id)
    .outerjoin(_RUNNING, _RUNNING.c.experiment_id == experiments.c.id)
)


# Not a join: PostgreSQL then joins the other tables as well as it did.
_BOUND_KEY = (
    select(target_profiles.c.comparison_key)
    .where(
        target_profiles.c.experiment_id == stages.c.experiment_id,
        target_profiles.c.target == stages.c.target,
    )
    .correlate(stages)
    .scalar_subquery()
)


@dataclass(frozen=True)
class ReadyStage:
    """A stage that may be leased. is_bound: whether its target is (see `target_profiles`)."""

    trial_id: str
    stage_id: str
    target: str | None
    runtime: str | None
    is_bound: bool


def work_for(worker: WorkerRow, free_targets: Iterable[OfferedTarget]) -> ColumnElement[bool]:
    """The stages that this worker could work off; of measurements, those on the free targets."""
    return _work_for(
        worker.search_spaces,
        _what_it_has(worker),
        tuple(
            (target.name, tuple((name, target.comparison_key(name)) for name in target.runtimes))
            for target in free_targets
        ),
        trains="train" in worker.stages,
    )


@lru_cache(maxsize=_KINDS_OF_WORKERS)
def _work_for(
    search_spaces: tuple[tuple[str, int], ...],
    has: tuple[tuple[str, str | float], ...],
    targets: tuple[tuple[str, tuple[tuple[str, str], ...]], ...],
    *,
    trains: bool,
) -> ColumnElement[bool]:
    """has: the worker's labels and resources.

    targets: of each its name, and the runtimes there with their comparison keys.
    """
    kinds: list[ColumnElement[bool]] = []
    if trains:
        kinds.append(and_(stages.c.kind == "train", _meets_requirements(has)))
    for target, runtimes in targets:
        keys = [key for _, key in runtimes]
        if keys:
            kinds.append(
                and_(
                    stages.c.target == target,
                    stages.c.runtime.in_([runtime for runtime, _ in runtimes]),
                    func.coalesce(_BOUND_KEY, keys[0]).in_(keys),
                )
            )
    return and_(_knows_space(search_spaces), or_(false(), *kinds))


def _what_it_has(worker: WorkerRow) -> tuple[tuple[str, str | float], ...]:
    return (*sorted(worker.labels.items()), *sorted(worker.resources.items()))


def _meets_requirements(has: tuple[tuple[str, str | float], ...]) -> ColumnElement[bool]:
    """Whether what the stage's experiment needs is among what a worker has."""
    met = [
        and_(
            requirements.c.name == name,
            requirements.c.label == value
            if isinstance(value, str)
            else requirements.c.at_least <= value,
        )
        for name, value in has
    ]
    unmet = select(requirements.c.name).where(
        requirements.c.experiment_id == stages.c.experiment_id,
        # Of the two columns one is null, and so is a comparison with it.
        func.coalesce(or_(false(), *met), false()).is_(false()),
    )
    return ~exists(unmet.correlate(stages))


def experiments_with_empty_pool(connection: Connection, worker: WorkerRow) -> list[str]:
    """Ids of the experiments in which a trial could begin, were there one ready to.

    Only those whose search space the worker has; the one with the fewest running comes first.
    """
    query = (
        select(experiments.c.id)
        .select_from(_EXPERIMENTS)
        .where(
            experiments.c.status == ExperimentStatus.RUNNING,
            experiments.c.trials_created < experiments.c.budget_trials,
            _knows_space(worker.search_spaces),
            _LACKS_BEGINNING,
        )
        .order_by(_RUNNING_COUNT, experiments.c.created_at, experiments.c.id)
    )
    return list(connection.scalars(query))


def lacks_beginning(connection: Connection, experiment_id: str) -> bool:
    """Whether another trial could begin within `max_parallel`, yet none is ready to."""
    query = (
        select(experiments.c.id)
        .select_from(_EXPERIMENTS)
        .where(experiments.c.id == experiment_id, _LACKS_BEGINNING)
    )
    return connection.scalar(query) is not None


def _knows_space(search_spaces: Sequence[tuple[str, int]]) -> ColumnElement[bool]:
    return or_(
        false(),
        *(
            and_(experiments.c.space_name == name, experiments.c.space_version == version)
            for name, version in search_spaces
        ),
    )


def experiments_with_work(connection: Connection, which: ColumnElement[bool]) -> list[str]:
    """Ids of the experiments with such a stage to start now.

    Those with begun trials come first, then those with the fewest running, then the oldest.
    """
    return list(connection.scalars(_experiments_with_work(which)))


@lru_cache(maxsize=_KINDS_OF_WORKERS)
def _experiments_with_work(which: ColumnElement[bool]) -> Select[tuple[str]]:
    return (
        select(experiments.c.id)
        .select_from(STAGES_OF_EXPERIMENTS)
        .where(stages.c.status == StageStatus.READY, MAY_START, which)
        .group_by(experiments.c.id, _RUNNING.c.count)
        .order_by(
            func.min(case((_RANK < 2, _RANK), else_=2)),
            _RUNNING_COUNT,
            experiments.c.created_at,
            experiments.c.id,
        )
    )


def next_stage(
    connection: Connection, experiment_id: str, which: ColumnElement[bool]
) -> ReadyStage | None:
    """The first such stage of the locked experiment, if any.

    PostgreSQL skips rows that another transaction holds, rather than waiting for them.
    """
    query = _next_stage(which)
    row = connection.execute(query, {"of_experiment": experiment_id}).one_or_none()
    return None if row is None else ReadyStage(**row._asdict())


@lru_cache(maxsize=_KINDS_OF_WORKERS)
def _next_stage(which: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            stages.c.trial_id,
            stages.c.id.label("stage_id"),
            stages.c.target,
            stages.c.runtime,
            _BOUND_KEY.is_not(None).label("is_bound"),
        )
        .select_from(STAGES_OF_EXPERIMENTS)
        .where(
            stages.c.experiment_id == bindparam("of_experiment"),
            stages.c.status == StageStatus.READY,
            MAY_START,
            which,
        )
        .order_by(_RANK, _POOL_RANK, trials.c.number, stages.c.position)
        .limit(1)
        .with_for_update(of=stages, skip_locked=True, key_share=True)
    )


def ready_stage_counts(connection: Connection, experiment_id: str) -> dict[str, int]:
    """How many stages of each name wait for a worker, whether or not one may start now."""
    query = (
        select(stages.c.name, func.count())
        .where(stages.c.experiment_id == experiment_id, stages.c.status == StageStatus.READY)
        .group_by(stages.c.name)
    )
    return dict(connection.execute(query).all())
