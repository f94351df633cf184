import pytest

from service.storage.database import Database
from service.storage.events import events_after
from service.storage.experiments import find_experiment, record_change
from tests.service.toy_experiments import created, worker_spec


def version(database: Database, experiment_id: str) -> int:
    with database.read() as connection:
        return find_experiment(connection, experiment_id).data_version


def test_a_transaction_raises_the_data_version_once(database: Database) -> None:
    one, other = (created(database, worker_spec(name=name)) for name in ("one", "other"))
    before = version(database, one), version(database, other)
    with database.write() as connection:
        for kind in ("first", "second", "third"):
            record_change(connection, one, kind)
        record_change(connection, other, "first")
    assert (version(database, one), version(database, other)) == (before[0] + 1, before[1] + 1)
    with database.read() as connection:
        kinds = [event.kind for event in events_after(connection, 0) if event.experiment_id == one]
    assert kinds == ["experiment_created", "first", "second", "third"]


def test_it_is_raised_after_a_transaction_that_failed(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    before = version(database, experiment_id)

    def fail() -> None:
        with database.write() as connection:
            record_change(connection, experiment_id, "never")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.write() as connection:
        record_change(connection, experiment_id, "once")
    assert version(database, experiment_id) == before + 1
