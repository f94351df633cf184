"""Experiments as rows, and the one lock under which an experiment changes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Select,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from service.domain.errors import BudgetExhausted, ExperimentNotFound, NameTaken, TransitionRefused
from service.domain.experiment import EXPERIMENT_TRANSITIONS, Experiment, ExperimentStatus
from service.domain.stop_rules import StopVerdict
from service.domain.trial import TrialStatus
from service.storage import events
from service.storage.experiment_rows import EXPERIMENT_ROWS, FINDING, LOCKING, as_experiment
from service.storage.insertion import insert_if_absent
from service.storage.tables import experiments, requirements, trials


def insert_experiment(connection: Connection, experiment: Experiment) -> None:
    """Adds the experiment. Raises: NameTaken."""
    spec = experiment.spec
    added = insert_if_absent(
        connection,
        experiments,
        {
            "id": experiment.id,
            "name": spec.name,
            "spec": spec.model_dump(mode="json"),
            "space": experiment.space.model_dump(mode="json"),
            "metrics": [metric.model_dump(mode="json") for metric in experiment.metrics],
            "status": experiment.status,
            "space_name": spec.search_space.name if spec.search_space else None,
            "space_version": spec.search_space.version if spec.search_space else None,
            "budget_trials": experiment.budget_trials,
            "trials_created": experiment.trials_created,
            "max_parallel": spec.max_parallel,
            "max_attempts": spec.max_attempts,
            "space_exhausted": False,
            "data_version": experiment.data_version,
            "created_at": experiment.created_at,
            "archived_at": experiment.archived_at,
            "overruled_stop_rules": list(experiment.overruled_stop_rules),
        },
    )
    if added:
        _insert_requirements(connection, experiment)
    else:
        raise NameTaken(
            f"An experiment named {spec.name!r} exists already.",
            field="name",
            remedy="Choose another name.",
        )


def _insert_requirements(connection: Connection, experiment: Experiment) -> None:
    needed = experiment.spec.requires
    rows: list[dict[str, Any]] = [
        *({"name": name, "label": label} for name, label in needed.labels.items()),
        *({"name": name, "at_least": least} for name, least in needed.at_least.items()),
    ]
    for row in rows:
        connection.execute(insert(requirements).values(row | {"experiment_id": experiment.id}))


def find_experiment(connection: Connection, id_or_name: str) -> Experiment:
    """The experiment of this id, else of this name. Raises: ExperimentNotFound."""
    return _found(connection, FINDING, id_or_name)


def lock_experiment(connection: Connection, id_or_name: str) -> Experiment:
    """The experiment as it now stands, and nobody else changes it before the commit.

    Whatever changes an experiment, its trials, stages or attempts takes this lock first, so
    that budget, parallelism and states are decided one after the other. Locks are taken in
    the order worker, device, experiment. On SQLite a write transaction is this lock already.
    Everywhere FOR NO KEY UPDATE: PostgreSQL checks foreign keys by FOR KEY SHARE, also when a
    row changes twice in one transaction, and would wait for a FOR UPDATE in any order.
    Raises: ExperimentNotFound.
    """
    return _found(connection, LOCKING, id_or_name)


def experiment_names(connection: Connection, limit: int = 100) -> list[str]:
    """The names of the newest experiments, to suggest one of them."""
    newest = select(experiments.c.name).order_by(experiments.c.created_at.desc()).limit(limit)
    return list(connection.scalars(newest))


def _found(connection: Connection, queries: Iterable[Select[Any]], id_or_name: str) -> Experiment:
    for query in queries:
        row = connection.execute(query, {"id_or_name": id_or_name}).one_or_none()
        if row is not None:
            return as_experiment(row)
    raise ExperimentNotFound(
        f"No experiment has the id or name {id_or_name!r}.",
        field="experiment",
        remedy="List them with GET /v1/experiments.",
    )


_RAISING_VERSION = (
    update(experiments)
    .where(experiments.c.id == bindparam("of_experiment"))
    .values(data_version=experiments.c.data_version + 1)
)


def record_change(
    connection: Connection,
    experiment_id: str,
    kind: str,
    trial_number: int | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Appends the event and raises the experiment's data version, once in a transaction."""
    if not events.is_waiting(connection, experiment_id):
        raise_data_version(connection, experiment_id)
    events.append(connection, kind, experiment_id, trial_number, data)


def raise_data_version(connection: Connection, experiment_id: str) -> None:
    """Tells readers that something they could see has changed."""
    connection.execute(_RAISING_VERSION, {"of_experiment": experiment_id})


def set_experiment_status(
    connection: Connection, experiment: Experiment, wanted: ExperimentStatus
) -> None:
    """Moves the locked experiment along. Raises: TransitionRefused."""
    if wanted not in EXPERIMENT_TRANSITIONS[experiment.status]:
        ways = ", ".join(sorted(EXPERIMENT_TRANSITIONS[experiment.status])) or "nothing"
        raise TransitionRefused(
            f"Experiment {experiment.spec.name!r} is {experiment.status}, "
            f"which does not lead to {wanted}; it leads to {ways}."
        )
    connection.execute(
        update(experiments).where(experiments.c.id == experiment.id).values(status=wanted)
    )
    record_change(connection, experiment.id, f"experiment_{wanted}")


def set_archived_at(connection: Connection, experiment_id: str, moment: datetime | None) -> None:
    """Archives the experiment, or takes it back out."""
    connection.execute(
        update(experiments).where(experiments.c.id == experiment_id).values(archived_at=moment)
    )


def set_budget(connection: Connection, experiment_id: str, budget_trials: int) -> None:
    """The new total; whether arms are left for it is asked anew."""
    connection.execute(
        update(experiments)
        .where(experiments.c.id == experiment_id)
        .values(budget_trials=budget_trials, space_exhausted=False)
    )


def set_stopped_by(connection: Connection, experiment_id: str, verdict: StopVerdict) -> None:
    """Notes the rule that ended the search of the locked experiment, and records it."""
    found = verdict.model_dump(mode="json")
    connection.execute(
        update(experiments).where(experiments.c.id == experiment_id).values(stopped_by=found)
    )
    record_change(connection, experiment_id, "search_stopped", data=found)


def overrule_stop(connection: Connection, experiment: Experiment) -> None:
    """Switches off the rule that ended the search, which goes on; records it."""
    if experiment.stopped_by is None:
        return
    rule = experiment.stopped_by.rule
    connection.execute(
        update(experiments)
        .where(experiments.c.id == experiment.id)
        .values(stopped_by=None, overruled_stop_rules=[*experiment.overruled_stop_rules, rule])
    )
    record_change(connection, experiment.id, "stop_rule_overruled", data={"rule": rule})


def set_space_exhausted(connection: Connection, experiment_id: str) -> None:
    """Notes that no new arm is left."""
    connection.execute(
        update(experiments).where(experiments.c.id == experiment_id).values(space_exhausted=True)
    )


def is_space_exhausted(connection: Connection, experiment_id: str) -> bool:
    """Whether no new arm is left."""
    query = select(experiments.c.space_exhausted).where(experiments.c.id == experiment_id)
    return bool(connection.scalar(query))


def page_of_experiments(
    connection: Connection,
    *,
    limit: int,
    after: tuple[float, str] | None = None,
    status: ExperimentStatus | None = None,
    include_archived: bool = False,
) -> list[Experiment]:
    """Up to `limit` experiments, the newest first.

    after: creation (seconds since 1970) and id of the last row of the page before.
    """
    query = EXPERIMENT_ROWS.order_by(experiments.c.created_at.desc(), experiments.c.id.desc())
    if status is not None:
        query = query.where(experiments.c.status == status)
    if not include_archived:
        query = query.where(experiments.c.archived_at.is_(None))
    if after is not None:
        created_at = type_coerce(experiments.c.created_at, Double)
        query = query.where(
            or_(
                created_at < after[0],
                and_(created_at == after[0], experiments.c.id < after[1]),
            )
        )
    return [as_experiment(row) for row in connection.execute(query.limit(limit))]


def running_experiments_with_budget(connection: Connection) -> list[str]:
    """Ids of the running experiments that may still create trials, the oldest first."""
    query = (
        select(experiments.c.id)
        .where(
            experiments.c.status == ExperimentStatus.RUNNING,
            experiments.c.trials_created < experiments.c.budget_trials,
            experiments.c.space_exhausted.is_(False),
            experiments.c.stopped_by.is_(None),
        )
        .order_by(experiments.c.created_at, experiments.c.id)
    )
    return list(connection.scalars(query))


def take_trial_numbers(connection: Connection, experiment: Experiment, count: int) -> range:
    """The next trials' numbers; the budget is consumed in the same statement.

    Raises: BudgetExhausted if it has not room for all of them.
    """
    created = connection.scalar(
        update(experiments)
        .where(
            experiments.c.id == experiment.id,
            experiments.c.trials_created + count <= experiments.c.budget_trials,
        )
        .values(trials_created=experiments.c.trials_created + count)
        .returning(experiments.c.trials_created)
    )
    if created is None:
        raise BudgetExhausted(
            f"All {experiment.budget_trials} trials of {experiment.spec.name!r} have been created.",
            field="budget.trials",
            remedy="Raise the budget.",
        )
    return range(int(created) - count, int(created))


def trial_counts(
    connection: Connection, experiment_ids: Sequence[str]
) -> dict[str, dict[TrialStatus, int]]:
    """How many trials of each experiment stand where; statuses without any are 0."""
    counts = {id_: dict.fromkeys(TrialStatus, 0) for id_ in experiment_ids}
    query = (
        select(trials.c.experiment_id, trials.c.status, func.count())
        .where(trials.c.experiment_id.in_(experiment_ids))
        .group_by(trials.c.experiment_id, trials.c.status)
    )
    for experiment_id, status, count in connection.execute(query):
        counts[experiment_id][TrialStatus(status)] = count
    return counts
