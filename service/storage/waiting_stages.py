"""The stages that wait for a worker, counted by experiment."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from service.domain.trial import StageStatus, TrialStatus
from service.storage.claims import MAY_START, STAGES_OF_EXPERIMENTS
from service.storage.tables import stages, trials


@dataclass(frozen=True)
class WaitingStages:
    """Stages of one name that could be leased now.

    begun: of trials that have begun. candidates: of those that have not.
    begun_since, since: how long the oldest of them has waited, of the begun ones and of all.
    """

    experiment_id: str
    stage: str
    begun: int
    candidates: int
    begun_since: datetime | None
    since: datetime | None


def waiting_stages(connection: Connection) -> list[WaitingStages]:
    """What could be leased now, were there a worker for it; by experiment and stage."""
    has_begun = trials.c.status == TrialStatus.RUNNING
    query = (
        select(
            stages.c.experiment_id,
            stages.c.name.label("stage"),
            func.sum(case((has_begun, 1), else_=0)).label("begun"),
            func.sum(case((has_begun, 0), else_=1)).label("candidates"),
            func.min(case((has_begun, stages.c.ready_at))).label("begun_since"),
            func.min(stages.c.ready_at).label("since"),
        )
        .select_from(STAGES_OF_EXPERIMENTS)
        .where(stages.c.status == StageStatus.READY, stages.c.kind != "external", MAY_START)
        .group_by(stages.c.experiment_id, stages.c.name)
        .order_by(stages.c.experiment_id, stages.c.name)
    )
    return [WaitingStages(**row._asdict()) for row in connection.execute(query)]
