"""Pages of an experiment's trials: filtered, sorted, continued after a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Double, and_, case, or_, select, type_coerce

from service.domain.objective import OutcomeConstraint
from service.domain.trial import Trial, TrialStatus
from service.storage.tables import measurements, trials
from service.storage.trials import load_trials

_RANKED = (TrialStatus.COMPLETED, TrialStatus.EARLY_STOPPED, TrialStatus.RUNNING)
"""Trials that are ordered by a metric; what a failed one measured stands behind them."""

TRIAL_COLUMNS = ("number", "created_at", "ended_at")


@dataclass(frozen=True)
class TrialOrder:
    """By a column of the trial or by a metric; equal ones by number, those without one last."""

    by: Literal["column", "metric"]
    name: str
    descending: bool


@dataclass(frozen=True)
class PageKey:
    """Where a row stands in the order: its sort key (None: it has none) and its number."""

    key: float | int | None
    number: int


def page_of_trials(
    connection: Connection,
    experiment_id: str,
    *,
    order: TrialOrder,
    limit: int,
    after: PageKey | None = None,
    status: Sequence[TrialStatus] | None = None,
    source: str | None = None,
    where: Sequence[OutcomeConstraint] = (),
) -> list[tuple[Trial, PageKey]]:
    """Up to `limit` trials after that row, each with its own place."""
    key = _sort_key(order)
    conditions = [trials.c.experiment_id == experiment_id, *map(_meets, where)]
    if status is not None:
        conditions.append(trials.c.status.in_(list(status)))
    if source is not None:
        conditions.append(trials.c.source == source)
    if after is not None:
        conditions.append(_comes_after(key, order, after))
    query = (
        select(trials.c.id, trials.c.number, key.label("key"))
        .where(*conditions)
        .order_by(
            case((key.is_(None), 1), else_=0),
            key.desc() if order.descending else key.asc(),
            trials.c.number,
        )
        .limit(limit)
    )
    rows = connection.execute(query).all()
    found = {t.id: t for t in load_trials(connection, trials.c.id.in_([row.id for row in rows]))}
    return [(found[row.id], PageKey(row.key, row.number)) for row in rows]


def _sort_key(order: TrialOrder) -> ColumnElement[Any]:
    if order.by == "column":
        column: ColumnElement[Any] = trials.c[order.name]
        if order.name == "number":
            return column
        return _seconds(column)
    value = (
        select(measurements.c.mean)
        .where(measurements.c.trial_id == trials.c.id, measurements.c.metric == order.name)
        .scalar_subquery()
    )
    return case((trials.c.status.in_(_RANKED), value))


def _seconds(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The moment as the double it is kept as, so that a cursor holds it exactly."""
    return type_coerce(column, Double)


def _comes_after(key: ColumnElement[Any], order: TrialOrder, after: PageKey) -> ColumnElement[bool]:
    if after.key is None:
        return and_(key.is_(None), trials.c.number > after.number)
    beyond = key < after.key if order.descending else key > after.key
    return or_(beyond, and_(key == after.key, trials.c.number > after.number), key.is_(None))


def _meets(constraint: OutcomeConstraint) -> ColumnElement[bool]:
    mean = measurements.c.mean
    within = mean <= constraint.bound if constraint.op == "<=" else mean >= constraint.bound
    return (
        select(measurements.c.trial_id)
        .where(
            measurements.c.trial_id == trials.c.id,
            measurements.c.metric == constraint.metric,
            within,
        )
        .exists()
    )
