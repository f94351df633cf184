"""One of each kind of device, all of them this machine."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.devices.adb_daemon import AdbDaemon
from tests.workers.devices.ssh_server import SSHD, SshServer, ssh_server
from workers.devices.adb import AdbDevice
from workers.devices.device import Device
from workers.devices.local import LocalDevice
from workers.devices.ssh import SshDevice

KINDS = ("local", "ssh", "adb")


@pytest.fixture(scope="session")
def board() -> Iterator[SshServer]:
    """An OpenSSH server."""
    if not shutil.which("ssh") or not Path(SSHD).exists():
        pytest.skip("no OpenSSH server here; install Debian's package `openssh-server`")
    folder = Path(tempfile.mkdtemp(prefix="archfront-sshd-"))  # other users may look inside
    with ssh_server(folder) as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Serial and client options of a stand-in for a phone, behind a real adb server."""
    if not shutil.which("adb"):
        pytest.skip("no Android debug bridge here; install Debian's package `adb`")
    programs = tmp_path_factory.mktemp("android-bin")
    daemon = AdbDaemon(programs)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ("-P", str(port))
    serial = f"127.0.0.1:{daemon.port}"
    connected = subprocess.run(
        ["adb", *options, "connect", serial], capture_output=True, text=True, check=True
    )
    assert "connected to" in connected.stdout, connected
    yield serial, options
    subprocess.run(["adb", *options, "kill-server"], check=False)
    daemon.close()


@pytest.fixture(params=KINDS)
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    """Each of them in turn."""
    scratch_folder = str(tmp_path)
    made: Device
    if request.param == "local":
        made = LocalDevice(scratch_folder)
    elif request.param == "ssh":
        server = request.getfixturevalue("board")
        made = SshDevice(server.host, options=server.options, scratch_folder=scratch_folder)
    else:
        serial, options = request.getfixturevalue("phone")
        made = AdbDevice(serial, options=options, scratch_folder=scratch_folder)
    yield made
    made.close()
