"""What the model last made of each experiment, as one row each."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from service.domain.experiment import ExperimentStatus, OptimizerSettings
from service.domain.insight import Insight
from service.storage.candidates import TAUGHT
from service.storage.tables import experiments, insights, trials


def find_insight(connection: Connection, experiment_id: str) -> Insight | None:
    """The newest insight into the experiment, if there is one."""
    query = select(insights.c.insight).where(insights.c.experiment_id == experiment_id)
    found = connection.scalar(query)
    return None if found is None else Insight.model_validate(found)


def replace_insight(
    connection: Connection, experiment_id: str, insight: Insight, made_at: datetime
) -> None:
    """Keeps the insight instead of an earlier one. Under the experiment's lock."""
    connection.execute(delete(insights).where(insights.c.experiment_id == experiment_id))
    connection.execute(
        insert(insights).values(
            experiment_id=experiment_id,
            observations=insight.observations,
            insight=insight.model_dump(mode="json"),
            made_at=made_at,
        )
    )


@dataclass(frozen=True)
class StaleInsight:
    """An experiment with more ended trials than its insight knows of."""

    experiment_id: str
    ended_trials: int
    optimizer: OptimizerSettings


def stale_insights(connection: Connection) -> list[StaleInsight]:
    """The listed experiments with more ended trials than their insight knows of, or without any.

    Those still going on come first, then the newest.
    """
    taught = (
        select(trials.c.experiment_id, func.count().label("ended"))
        .where(trials.c.status.in_(TAUGHT))
        .group_by(trials.c.experiment_id)
        .subquery()
    )
    is_over = experiments.c.status.in_([ExperimentStatus.COMPLETED, ExperimentStatus.STOPPED])
    query = (
        select(experiments.c.id, taught.c.ended, experiments.c.spec)
        .join(taught, taught.c.experiment_id == experiments.c.id)
        .outerjoin(insights, insights.c.experiment_id == experiments.c.id)
        .where(
            experiments.c.archived_at.is_(None),
            taught.c.ended > func.coalesce(insights.c.observations, 0),
        )
        .order_by(is_over, experiments.c.created_at.desc(), experiments.c.id)
    )
    return [
        StaleInsight(row.id, row.ended, OptimizerSettings.model_validate(row.spec["optimizer"]))
        for row in connection.execute(query)
    ]
