"""Which arms of an experiment may be run again, and which are being run."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from service.domain.trial import TrialStatus
from service.storage.tables import trials


def repeatable_trials(
    connection: Connection, experiment_id: str, signatures: Sequence[str]
) -> dict[str, int]:
    """By arm signature, the first trial that has completed the arm: no replicate comes first."""
    query = (
        select(trials.c.arm_signature, func.min(trials.c.number))
        .where(
            trials.c.experiment_id == experiment_id,
            trials.c.arm_signature.in_(signatures),
            trials.c.status == TrialStatus.COMPLETED,
        )
        .group_by(trials.c.arm_signature)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def running_signatures(
    connection: Connection, experiment_id: str, signatures: Sequence[str]
) -> set[str]:
    """Those of the arms' signatures that an unfinished trial has."""
    query = select(trials.c.arm_signature).where(
        trials.c.experiment_id == experiment_id,
        trials.c.arm_signature.in_(signatures),
        trials.c.status.in_([TrialStatus.CANDIDATE, TrialStatus.RUNNING]),
    )
    return set(connection.scalars(query))
