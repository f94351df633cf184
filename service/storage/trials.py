"""Trials, their stages and measurements as rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Row,
    ScalarSelect,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from service.domain.errors import TrialNotFound
from service.domain.measurement import Measurement
from service.domain.trial import (
    Stage,
    StageStatus,
    Trial,
    TrialStatus,
    next_status,
)
from service.storage.clock import now_within
from service.storage.columns import storable_text
from service.storage.experiments import record_change
from service.storage.tables import attempts, measurements, stages, trials

_LARGEST_NUMBER = 2**31 - 1


def set_trial_status(
    connection: Connection,
    trial: Trial,
    wanted: TrialStatus,
    *,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Moves the trial along and records it. Raises: TransitionRefused."""
    status = next_status(trial.status, wanted)
    values: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "ended_at": now if status.is_final else None,
    }
    if status is TrialStatus.RUNNING:
        values["started_at"] = now
    if status is TrialStatus.CANDIDATE:
        values["started_at"] = None
    if status is TrialStatus.CANDIDATE or status.is_final:
        values["stop_requested"] = None
    connection.execute(update(trials).where(trials.c.id == trial.id).values(values))
    data = {"reason": storable_text(reason)} if reason else {}
    record_change(connection, trial.experiment_id, f"trial_{status}", trial.number, data)


def request_stop(
    connection: Connection, trial: Trial, how: Literal["stop", "cancel"], reason: str
) -> None:
    """Lets the next heartbeat of the running trial carry `stop` or `cancel`."""
    connection.execute(
        update(trials).where(trials.c.id == trial.id).values(stop_requested=how, reason=reason)
    )
    record_change(
        connection, trial.experiment_id, "trial_stop_requested", trial.number, {"how": how}
    )


def cancel_open_stages(connection: Connection, trial_id: str, now: datetime) -> None:
    """Cancels the stages that nobody works on: those waiting or ready."""
    connection.execute(
        update(stages)
        .where(
            stages.c.trial_id == trial_id,
            stages.c.status.in_([StageStatus.WAITING, StageStatus.READY]),
        )
        .values(status=StageStatus.CANCELLED, ended_at=now)
    )


def set_stage_status(connection: Connection, stage_id: str, status: StageStatus) -> None:
    """Makes a stage that is not leased `ready` or `waiting`, its attempts counted anew."""
    ready_at = now_within(connection) if status is StageStatus.READY else None
    connection.execute(
        update(stages)
        .where(stages.c.id == stage_id, stages.c.status != StageStatus.LEASED)
        .values(status=status, attempts=0, ready_at=ready_at, ended_at=None)
    )


def ready_again(connection: Connection, trial: Trial) -> None:
    """Makes the first stage that is not completed ready and lets the later ones wait."""
    left = [stage for stage in trial.stages if stage.status is not StageStatus.COMPLETED]
    for index, stage in enumerate(left):
        set_stage_status(connection, stage.id, StageStatus.WAITING if index else StageStatus.READY)


def keep_measurements(
    connection: Connection, trial_id: str, attempt_id: str, found: dict[str, Measurement]
) -> None:
    """Keeps the recorded attempt's measurements; a later stage's replace an earlier one's."""
    if not found:
        return
    connection.execute(
        delete(measurements).where(
            measurements.c.trial_id == trial_id, measurements.c.metric.in_(list(found))
        )
    )
    connection.execute(
        insert(measurements),
        [
            {
                "trial_id": trial_id,
                "metric": metric,
                "attempt_id": attempt_id,
                "mean": measurement.mean,
                "sem": measurement.sem,
                "n": measurement.n,
                "unit": measurement.unit,
                "protocol": measurement.protocol,
            }
            for metric, measurement in found.items()
        ],
    )


def find_trial(connection: Connection, experiment_id: str, number: int) -> Trial:
    """The trial of this number. Raises: TrialNotFound."""
    found = (
        load_trials(connection, trials.c.experiment_id == experiment_id, trials.c.number == number)
        if 0 <= number <= _LARGEST_NUMBER
        else []
    )
    if not found:
        raise TrialNotFound(
            f"The experiment has no trial {number}.",
            field="trial_number",
            remedy="List them with GET /v1/experiments/{id}/trials.",
        )
    return found[0]


def trials_of_experiment(connection: Connection, experiment_id: str) -> list[Trial]:
    """All trials of the experiment, in the order of their numbers."""
    return load_trials(connection, trials.c.experiment_id == experiment_id)


def unfinished_trials(connection: Connection, experiment_id: str) -> list[Trial]:
    """The candidates and running trials of the experiment."""
    return load_trials(
        connection,
        trials.c.experiment_id == experiment_id,
        trials.c.status.in_([TrialStatus.CANDIDATE, TrialStatus.RUNNING]),
    )


def known_signatures(
    connection: Connection, experiment_id: str, signatures: Sequence[str]
) -> set[str]:
    """Those of the arms' signatures that a trial of the experiment already has."""
    query = select(trials.c.arm_signature).where(
        trials.c.experiment_id == experiment_id, trials.c.arm_signature.in_(signatures)
    )
    return set(connection.scalars(query))


def trial_by_id(connection: Connection, trial_id: str, *, with_measurements: bool = True) -> Trial:
    """The trial of this id, which exists; without its measurements for a query less."""
    which = {"of_trial": trial_id}
    return _as_trial(
        connection.execute(_TRIAL_BY_ID, which).one(),
        list(connection.execute(_STAGES_BY_ID, which)),
        list(connection.execute(_MEASUREMENTS_BY_ID, which)) if with_measurements else [],
    )


def trials_by_ids(connection: Connection, trial_ids: Sequence[str]) -> list[Trial]:
    """The trials of these ids, which exist, in the order of their numbers."""
    return load_trials(connection, trials.c.id.in_(trial_ids)) if trial_ids else []


def statuses_of(connection: Connection, stage_id: str) -> tuple[TrialStatus, StageStatus]:
    """How the stage, which exists, and its trial stand now."""
    trial_status, stage_status = connection.execute(_STATUSES, {"of_stage": stage_id}).one()
    return TrialStatus(trial_status), StageStatus(stage_status)


def load_trials(connection: Connection, *conditions: ColumnElement[bool]) -> list[Trial]:
    """The trials that meet the conditions (on `trials`), with stages and measurements.

    In the order of their numbers; three queries, however many trials.
    """
    chosen: Select[Any] = select(trials.c.id).where(*conditions)
    rows = connection.execute(select(trials).where(*conditions).order_by(trials.c.number)).all()
    stages_of = _grouped(connection.execute(_STAGE_ROWS.where(stages.c.trial_id.in_(chosen))))
    measurements_of = _grouped(
        connection.execute(_MEASUREMENT_ROWS.where(measurements.c.trial_id.in_(chosen)))
    )
    return [
        _as_trial(row, stages_of.get(row.id, []), measurements_of.get(row.id, [])) for row in rows
    ]


def _shared_with() -> ScalarSelect[int]:
    """The number of the trial whose training the stage has taken."""
    trainer, attempt = trials.alias("trainer"), attempts.alias("shared_attempt")
    return (
        select(trainer.c.number)
        .join(attempt, attempt.c.trial_id == trainer.c.id)
        .where(attempt.c.id == stages.c.shared_attempt_id)
        .scalar_subquery()
    )


def _spent_s() -> ScalarSelect[float]:
    """Seconds of the stage's ended attempts, whatever became of them."""
    ended = attempts.alias("ended_attempt")
    seconds = type_coerce(ended.c.ended_at, Double) - type_coerce(ended.c.claimed_at, Double)
    return (
        select(func.coalesce(func.sum(seconds), 0.0))
        .where(ended.c.stage_id == stages.c.id, ended.c.ended_at.is_not(None))
        .scalar_subquery()
    )


# Built once: to build these statements takes longer than to execute them.
_STAGE_ROWS = (
    select(
        stages,
        attempts.c.id.label("lease_id"),
        attempts.c.worker_id,
        attempts.c.expires_at,
        _shared_with().label("shared_with"),
        _spent_s().label("spent_s"),
    )
    .outerjoin(attempts, (attempts.c.stage_id == stages.c.id) & attempts.c.ended_at.is_(None))
    .order_by(stages.c.position)
)
_STATUSES = (
    select(trials.c.status, stages.c.status.label("stage_status"))
    .join(stages, stages.c.trial_id == trials.c.id)
    .where(stages.c.id == bindparam("of_stage"))
)
_MEASUREMENT_ROWS = select(measurements).order_by(measurements.c.metric)
_TRIAL_BY_ID = select(trials).where(trials.c.id == bindparam("of_trial"))
_STAGES_BY_ID = _STAGE_ROWS.where(stages.c.trial_id == bindparam("of_trial"))
_MEASUREMENTS_BY_ID = _MEASUREMENT_ROWS.where(measurements.c.trial_id == bindparam("of_trial"))


def _grouped(rows: Iterable[Row[Any]]) -> dict[str, list[Row[Any]]]:
    groups: dict[str, list[Row[Any]]] = {}
    for row in rows:
        groups.setdefault(row.trial_id, []).append(row)
    return groups


def _as_trial(row: Row[Any], stage_rows: list[Row[Any]], measurement_rows: list[Row[Any]]) -> Trial:
    return Trial.model_validate(
        {
            "id": row.id,
            "experiment_id": row.experiment_id,
            "number": row.number,
            "arm": {"parameters": row.parameters},
            "training_key": row.training_key,
            "status": row.status,
            "source": row.source,
            "note": row.note,
            "reason": row.reason,
            "stop_requested": row.stop_requested,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
            "stages": [
                {name: getattr(stage, name) for name in Stage.model_fields} for stage in stage_rows
            ],
            "measurements": {
                found.metric: {
                    "mean": found.mean,
                    "sem": found.sem,
                    "n": found.n,
                    "unit": found.unit,
                    "protocol": found.protocol,
                }
                for found in measurement_rows
            },
        }
    )
