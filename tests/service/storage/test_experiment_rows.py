"""What hardly ever changes in an experiment is read once, and read anew as soon as it changes."""

from typing import Any

from sqlalchemy import update

from service.domain.experiment import Experiment
from service.storage.database import Database
from service.storage.experiments import find_experiment, lock_experiment
from service.storage.tables import experiments
from tests.service.toy_experiments import created, worker_spec


def found(database: Database, experiment_id: str) -> Experiment:
    with database.read() as connection:
        return find_experiment(connection, experiment_id)


def changed(database: Database, experiment_id: str, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(
            update(experiments).where(experiments.c.id == experiment_id).values(values)
        )


def test_documents_are_read_once_and_the_rest_at_each_look(database: Database) -> None:
    id_ = created(database, worker_spec(budget=5))
    first = found(database, id_)
    changed(database, id_, budget_trials=7)
    with database.write() as connection:
        second = lock_experiment(connection, id_)
    assert (first.budget_trials, second.budget_trials) == (5, 7)
    assert second.spec is first.spec
    assert second.space is first.space
    assert second.model_dump() == first.model_dump() | {"budget_trials": 7}


def test_a_document_that_was_changed_is_read_anew(database: Database) -> None:
    id_ = created(database, worker_spec())
    before = found(database, id_)
    spec = before.spec.model_copy(update={"description": "Another."})
    changed(
        database,
        id_,
        spec=spec.model_dump(mode="json"),
        metrics=[metric.model_dump(mode="json") for metric in before.metrics[:1]],
    )
    after = found(database, id_)
    assert after.spec == spec
    assert after.metrics == before.metrics[:1]
