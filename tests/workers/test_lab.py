import logging
from pathlib import Path

import pytest

from tests.workers.devices.conftest import board
from tests.workers.devices.ssh_server import SshServer
from workers.devices.devices_file import LocalEntry, SshEntry
from workers.errors import WorkerSettingsInvalid
from workers.lab import Lab, lab_of
from workers.registration import machine_device
from workers.settings import read_worker_settings

__all__ = ["board"]


def entry_of(board: SshServer, python: Path, **changes) -> SshEntry:
    user, host = board.host.split("@")
    given = {
        "kind": "ssh",
        "targets": ("board",),
        "host": host,
        "user": user,
        "port": board.port,
        "identity_file": board.identity_file,
        "known_hosts": board.known_hosts,
        "python": str(python),
        "runtimes": ("onnxruntime", "openvino"),
    }
    return SshEntry.model_validate(given | changes)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Stands in for the interpreter of a board that has these runtimes."""
    path = tmp_path / "python"
    path.write_text("""#!/bin/sh\necho '{"onnxruntime": "1.22.0", "torch_eager": "2.9.0"}'\n""")
    path.chmod(0o755)
    return path


def test_what_is_asked_for_and_there_is_offered(board, python, caplog) -> None:
    lab = Lab([entry_of(board, python)], "own")
    with caplog.at_level(logging.WARNING):
        assert lab.look()
    (target,) = lab.targets
    assert (target.name, target.device) == ("board", machine_device())
    assert target.runtimes == {"onnxruntime": "1.22.0"}
    assert "board is not offered in openvino: install it both on this worker" in caplog.text
    found = lab.device_of("board")
    assert found is not None
    assert found.entry.host == "127.0.0.1"
    assert lab.device_of("this-host") is None
    assert lab.device_of(None) is None


def test_a_name_by_hand_and_the_own_host_under_another_name(board, python) -> None:
    local = LocalEntry(kind="local", targets=("one-core",), cores=(0,))
    lab = Lab([local, entry_of(board, python, device="board-3")], "own")
    lab.look()
    assert [target.device for target in lab.targets] == ["own", "board-3"]
    assert "onnxruntime" in lab.targets[0].runtimes


def test_who_does_not_answer_is_not_offered_until_it_does(board, python, caplog) -> None:
    moved = python.rename(python.with_name("elsewhere"))
    lab = Lab([entry_of(board, python)], "own")
    with caplog.at_level(logging.WARNING):
        assert not lab.look()
    assert "board is not offered: the measuring program" in caplog.text
    assert lab.targets == ()
    assert not lab.is_whole
    moved.rename(python)
    assert lab.look()
    assert lab.is_whole
    assert len(lab.targets) == 1
    assert not lab.look()  # and asks nobody again


def test_a_target_of_the_own_host_cannot_be_another_device(tmp_path) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text("devices:\n  - {kind: ssh, targets: [this-host], host: nowhere.invalid}\n")
    settings = read_worker_settings(devices_file=path)
    with pytest.raises(WorkerSettingsInvalid, match="this-host, which this worker's own host is"):
        lab_of(settings, "own")


def test_without_a_file_there_is_nothing_to_ask() -> None:
    lab = lab_of(read_worker_settings(), "own")
    assert lab.targets == ()
    assert lab.is_whole
