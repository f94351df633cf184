"""Which devices an experiment's figures come from: all of one target's from alike ones.

The first measurement on a target binds it to what it is taken on; from then on only workers that
measure there alike are given its stages.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, select

from service.domain.device import OfferedTarget
from service.domain.trial import StageStatus
from service.storage.clock import now_within
from service.storage.insertion import insert_if_absent
from service.storage.tables import stages, target_profiles

_BINDING = (StageStatus.COMPLETED, StageStatus.EARLY_STOPPED, StageStatus.LEASED)


@dataclass(frozen=True)
class BoundTarget:
    """What a target of an experiment is measured on and in.

    comparison_key: see `OfferedTarget.comparison_key`.
    """

    target: str
    comparison_key: str
    device: str
    runtime: str
    runtime_version: str


def bind_target(
    connection: Connection, experiment_id: str, offered: OfferedTarget, runtime: str
) -> None:
    """Binds the locked experiment's target to what the worker offers, if it is free."""
    insert_if_absent(
        connection,
        target_profiles,
        {
            "experiment_id": experiment_id,
            "target": offered.name,
            "comparison_key": offered.comparison_key(runtime),
            "device": offered.device,
            "runtime": runtime,
            "runtime_version": offered.runtimes[runtime],
            "profile": offered.profile.model_dump(mode="json"),
            "bound_at": now_within(connection),
        },
    )


def free_if_unmeasured(connection: Connection, experiment_id: str, target: str) -> None:
    """Frees a target of the locked experiment on which nothing was measured nor is being.

    Else a device that broke in its first measurement would keep all others out.
    """
    connection.execute(
        delete(target_profiles).where(
            target_profiles.c.experiment_id == experiment_id,
            target_profiles.c.target == target,
            ~exists(
                select(stages.c.id).where(
                    stages.c.experiment_id == experiment_id,
                    stages.c.target == target,
                    stages.c.status.in_(_BINDING),
                )
            ),
        )
    )


def bound_targets(connection: Connection, experiment_id: str) -> dict[str, BoundTarget]:
    """The experiment's bound targets by name."""
    columns = [target_profiles.c[name] for name in BoundTarget.__dataclass_fields__]
    query = select(*columns).where(target_profiles.c.experiment_id == experiment_id)
    return {row.target: BoundTarget(**row._asdict()) for row in connection.execute(query)}
