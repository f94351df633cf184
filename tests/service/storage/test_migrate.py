import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from service.domain.errors import DatabaseNewerThanCode
from service.storage import migrate
from service.storage.database import Database
from service.storage.experiments import find_experiment
from service.storage.invariants import check_invariants
from service.storage.tables import metadata
from tests.conftest import FreshDatabases
from tests.service.offered_targets import offered
from tests.service.toy_experiments import (
    claimed,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(
    request: pytest.FixtureRequest, fresh_databases: FreshDatabases, tmp_path: Path
) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    return fresh_databases.empty_postgresql_url()


@pytest.fixture
def empty_database(empty_url: str):
    database = Database(empty_url)
    yield database
    database.dispose()


def head() -> str:
    revision = ScriptDirectory.from_config(migrate.alembic_config()).get_current_head()
    assert revision is not None
    return revision


def test_upgrading_from_nothing_gives_the_tables_that_the_code_names(
    empty_database: Database,
) -> None:
    empty_database.upgrade()
    with empty_database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == head()


def constraint_texts(connection: Connection) -> dict[str, set[str]]:
    inspector = inspect(connection)
    return {
        name: {
            f"{check['name']}: {check['sqltext']}"
            for check in inspector.get_check_constraints(name)
        }
        for name in metadata.tables
    }


def test_the_checks_are_those_that_the_code_names(empty_database: Database, tmp_path: Path) -> None:
    # compare_metadata does not look at check constraints
    empty_database.upgrade()
    with empty_database.read() as connection:
        migrated = constraint_texts(connection)
        schema = connection.dialect.name
    if schema == "sqlite":
        direct = Database(f"sqlite:///{tmp_path / 'direct.db'}")
        with direct.write() as connection:
            metadata.create_all(connection)
            expected = constraint_texts(connection)
        direct.dispose()
    else:
        with empty_database.write() as connection:
            connection.execute(text("CREATE SCHEMA direct"))
            connection.execute(text("SET LOCAL search_path TO direct"))
            metadata.create_all(connection)
            expected = constraint_texts(connection)
    assert migrated == expected
    assert sum(map(len, migrated.values())) > 20


def test_upgrading_again_changes_nothing_and_keeps_the_data(empty_database: Database) -> None:
    empty_database.upgrade()
    experiment_id = created(empty_database, worker_spec())
    topped_up(empty_database, experiment_id, 1)
    completed(empty_database, surely_claimed(empty_database, registered(empty_database)))
    empty_database.upgrade()
    with empty_database.read() as connection:
        assert check_invariants(connection) == []


def test_a_downgrade_refuses_rather_than_loses(empty_database: Database) -> None:
    empty_database.upgrade()
    created(empty_database, worker_spec())
    with pytest.raises(RuntimeError, match="restore the backup"), empty_database.write() as c:
        command.downgrade(migrate.alembic_config(c), "base")
    with empty_database.read() as connection:
        assert check_invariants(connection) == []
        assert MigrationContext.configure(connection).get_current_revision() == head()


def test_a_newer_database_is_refused(empty_database: Database) -> None:
    empty_database.upgrade()
    with empty_database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseNewerThanCode, match=r"9999.*Install the newer"):
        empty_database.upgrade()


def test_events_can_neither_be_changed_nor_deleted(empty_database: Database) -> None:
    empty_database.upgrade()
    created(empty_database, worker_spec())
    for statement in ("UPDATE events SET kind = 'other'", "DELETE FROM events"):
        with pytest.raises(DBAPIError, match="append-only"), empty_database.write() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trials SET status = 'done'",
        "UPDATE trials SET status = 'completed'",  # without an end
        "UPDATE experiments SET budget_trials = 0",
        "UPDATE experiments SET status = 'gone'",
        "UPDATE stages SET status = 'busy'",
        "UPDATE stages SET attempts = 9",
        "UPDATE attempts SET outcome = 'succeeded'",  # without an end
        "UPDATE attempts SET stage_id = 'no such stage'",
    ],
)
def test_the_database_itself_refuses_what_must_never_be(database: Database, statement: str) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    surely_claimed(database, registered(database))
    with pytest.raises(DBAPIError), database.write() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "other", "epoch": 2},  # a second open attempt
        {"id": "other", "epoch": 1, "ended_at": 1.0, "outcome": "lost"},  # the epoch again
    ],
)
def test_a_stage_has_one_open_attempt_and_each_epoch_once(
    database: Database, changes: dict
) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    surely_claimed(database, registered(database))
    with database.read() as connection:
        row = connection.execute(text("SELECT * FROM attempts")).mappings().one()
    values = dict(row) | changes
    marks = ", ".join(f":{name}" for name in values)
    insert = text(f"INSERT INTO attempts ({', '.join(values)}) VALUES ({marks})")
    with pytest.raises(DBAPIError, match=r"(?i)unique"), database.write() as connection:
        connection.execute(insert, values)


def test_the_migrations_are_found_in_an_installed_wheel(tmp_path: Path) -> None:
    """The wheel carries `alembic/` as `service/storage/migrations`."""
    for package in ("service", "search_spaces"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copytree(ROOT / "alembic", tmp_path / "service" / "storage" / "migrations")
    script = (
        "from service.storage.database import Database\n"
        "from service.storage.migrate import migrations_folder\n"
        f"database = Database('sqlite:///{tmp_path / 'wheel.db'}')\n"
        "database.upgrade()\n"
        "print(migrations_folder())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == str(tmp_path / "service" / "storage" / "migrations")


def rows_before_targets(connection: Connection) -> dict[str, list[dict]]:
    """All rows as the release before migration 0006 kept them; the experiment asks for rpi5."""
    rows: dict[str, list[dict]] = {}
    for table in metadata.sorted_tables:
        found = connection.execute(text(f"SELECT * FROM {table.name}")).mappings()
        rows[table.name] = [dict(row) for row in found]
    del rows["target_profiles"]
    for stage in rows["stages"]:
        for column in ("target", "runtime", "ready_at"):
            del stage[column]
    for attempt in rows["attempts"]:
        del attempt["resumed_after_step"]
    for worker in rows["workers"]:
        del worker["resources"]
        worker["runtimes"], worker["targets"] = '["onnxruntime"]', '["rpi5"]'
    for experiment in rows["experiments"]:
        spec = json.loads(experiment["spec"])
        del spec["targets"]
        spec["measurement"]["target"] = "rpi5"
        experiment["spec"] = json.dumps(spec)
        metrics = json.loads(experiment["metrics"])
        experiment["metrics"] = json.dumps([metric | {"target": None} for metric in metrics])
        experiment["space_exhausted"] = bool(experiment["space_exhausted"])
        experiment |= {"measure_target": "rpi5", "measure_runtime": "onnxruntime"}
    return rows


def test_an_experiment_of_before_keeps_its_target_and_goes_on(
    empty_database: Database, tmp_path: Path
) -> None:
    later = Database(f"sqlite:///{tmp_path / 'later.db'}")
    later.upgrade()
    experiment_id = created(later, worker_spec())
    topped_up(later, experiment_id, 1, 2)
    completed(later, surely_claimed(later, registered(later)))
    with later.read() as connection:
        rows = rows_before_targets(connection)
    later.dispose()
    with empty_database.write() as connection:
        command.upgrade(migrate.alembic_config(connection), "0005")
        for table in metadata.sorted_tables:
            for row in rows.get(table.name, []):
                marks = ", ".join(f":{name}" for name in row)
                names = ", ".join(f'"{name}"' for name in row)
                connection.execute(
                    text(f"INSERT INTO {table.name} ({names}) VALUES ({marks})"), row
                )
        if connection.dialect.name == "postgresql":
            last = "setval(pg_get_serial_sequence('events', 'id'), (SELECT max(id) FROM events))"
            connection.execute(text(f"SELECT {last}"))
    empty_database.upgrade()
    with empty_database.read() as connection:
        assert check_invariants(connection) == []
        (spec,) = [find_experiment(connection, experiment_id).spec]
    assert [target.name for target in spec.targets] == ["rpi5"]
    assert claimed(empty_database, registered(empty_database)) is not None  # the second training
    board = registered(empty_database, "board", targets=[offered("rpi5")], stages=["measure"])
    grant = surely_claimed(empty_database, board)
    assert (grant.stage, grant.target) == ("measure", "rpi5")
    assert "latency_ms" in grant.metrics  # the name that it had
    assert completed(empty_database, grant).trial_status == "completed"
