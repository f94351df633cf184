"""One trial in full, and its logs."""

from sqlalchemy import Connection

from service.domain.errors import LeaseNotFound
from service.schemas.trials import ArtifactLink, AttemptView, CurvePointView, TrialDetail
from service.storage.attempt_records import (
    MAX_LOG_CHARACTERS,
    artifacts_of,
    curves_of,
    read_log_text,
)
from service.storage.attempts import attempts_of_trial, recorded_attempt_ids
from service.storage.experiments import find_experiment
from service.storage.trials import find_trial

_LARGEST_OFFSET = 2**62


def read_trial(connection: Connection, experiment_id: str, number: int) -> TrialDetail:
    """The trial with all attempts, and the curves and files of those that count.

    Per stage the recorded attempt counts; while there is none, the newest.
    Raises: ExperimentNotFound, TrialNotFound.
    """
    experiment = find_experiment(connection, experiment_id)
    trial = find_trial(connection, experiment.id, number)
    counting = recorded_attempt_ids(connection, trial.id)
    return TrialDetail(
        trial=trial,
        attempts=tuple(
            AttemptView(
                lease_id=row.id,
                stage=row.stage,
                epoch=row.epoch,
                worker_id=row.worker_id,
                claimed_at=row.claimed_at,
                ended_at=row.ended_at,
                outcome=row.outcome,
                detail="\n".join(filter(None, (row.message, row.detail))) or None,
                resumed_after_step=row.resumed_after_step,
                environment=row.environment,
            )
            for row in attempts_of_trial(connection, trial.id)
        ),
        curves=tuple(
            CurvePointView(step=row.step, metric=row.metric, value=row.value)
            for row in curves_of(connection, counting)
        ),
        artifacts=tuple(
            ArtifactLink(
                stage=row.stage, name=row.name, sha256=row.sha256, size_bytes=row.size_bytes
            )
            for row in artifacts_of(connection, counting)
        ),
    )


def read_log(
    connection: Connection,
    experiment_id: str,
    number: int,
    *,
    stage: str | None = None,
    lease_id: str | None = None,
    offset: int = 0,
) -> str:
    """One attempt's log from character `offset` on; empty past its end.

    Of the lease named; else of the newest attempt at the stage named; else of the newest.
    Raises: ExperimentNotFound, TrialNotFound, LeaseNotFound if the trial has no such lease.
    """
    experiment = find_experiment(connection, experiment_id)
    trial = find_trial(connection, experiment.id, number)
    attempts = attempts_of_trial(connection, trial.id)
    if lease_id is not None:
        attempts = [attempt for attempt in attempts if attempt.id == lease_id]
        if not attempts:
            raise LeaseNotFound(
                f"Trial {number} has no lease {lease_id!r}.",
                field="lease_id",
                remedy="Take one from the trial's attempts.",
            )
    if stage is not None:
        attempts = [attempt for attempt in attempts if attempt.stage == stage]
    if not attempts:
        return ""
    newest = attempts[-1]
    text = read_log_text(connection, newest.id, min(max(0, offset), _LARGEST_OFFSET))
    if newest.log_characters >= MAX_LOG_CHARACTERS and offset <= newest.log_characters:
        text += f"\n[the log ends here: {MAX_LOG_CHARACTERS} characters are kept]\n"
    return text
