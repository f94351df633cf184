import hashlib

import pytest

from service.domain.errors import ArtifactNotFound, Unavailable
from service.schemas.leases import InputArtifact
from tests.workers.grants import make_grant
from workers.errors import ArtifactDamaged, GrantRefused
from workers.held_lease import HeldLease
from workers.inputs import fetch_inputs
from workers.shutdown import Shutdown
from workers.work_folder import WorkFolder

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Store:
    """Gives the answers it was made with, one a request."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def download_artifact(self, sha256, path):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        path.write_bytes(answer)


@pytest.fixture
def folder(tmp_path):
    folder = WorkFolder(tmp_path / "work")
    folder.create()
    return folder


def lease(name="network.safetensors"):
    artifact = InputArtifact(name=name, sha256=SHA256, size_bytes=len(CONTENT))
    return HeldLease(make_grant(inputs=(artifact,)), 5.0)


def fetch(store, folder, held=None, shutdown=None):
    return fetch_inputs(store, held or lease(), folder, shutdown or Shutdown(0.0))


def test_inputs_lie_under_their_names(folder):
    assert fetch(Store(CONTENT), folder)
    assert (folder.inputs / "network.safetensors").read_bytes() == CONTENT


def test_a_server_that_is_away_is_asked_again(folder, monkeypatch):
    monkeypatch.setattr("workers.inputs._RETRY_S", 0.01)
    assert fetch(Store(Unavailable(), Unavailable(), CONTENT), folder)


def test_nothing_is_fetched_for_a_lease_that_is_lost_or_a_worker_that_ends(folder):
    held = lease()
    held.lose()
    assert not fetch(Store(Unavailable()), folder, held=held)
    shutdown = Shutdown(0.0)
    shutdown.end()
    assert not fetch(Store(Unavailable()), folder, shutdown=shutdown)


def test_other_bytes_are_refused(folder):
    with pytest.raises(ArtifactDamaged, match=SHA256):
        fetch(Store(b"other"), folder)


def test_what_the_server_does_not_have_is_not_asked_for_again(folder):
    with pytest.raises(ArtifactNotFound):
        fetch(Store(ArtifactNotFound()), folder)


@pytest.mark.parametrize("name", ["../escaped", "/etc/passwd", "a/b", "..", ".", ""])
def test_no_name_leads_out_of_the_folder(folder, name):
    with pytest.raises(GrantRefused, match="plain file name"):
        fetch(Store(CONTENT), folder, held=lease(name))
    assert list(folder.inputs.iterdir()) == []
