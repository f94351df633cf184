import pytest

from tests.workers.devices.ssh_server import SshServer
from workers.devices.errors import DeviceUnreachable
from workers.devices.ssh import SshDevice


def test_nobody_there_is_the_machines_fault() -> None:
    device = SshDevice("nobody@127.0.0.1", options=("-F", "none", "-p", "9"))
    with pytest.raises(DeviceUnreachable, match=r"Connection refused; see that `ssh -o BatchMode"):
        device.shell("true")


def test_an_unknown_host_key_is_not_trusted(board: SshServer) -> None:
    options = (*board.options, "-o", "UserKnownHostsFile=/dev/null")
    with pytest.raises(DeviceUnreachable, match="Host key verification failed"):
        SshDevice(board.host, options=options[:6] + options[-2:] + options[8:10]).shell("true")


def test_a_key_that_is_not_let_in_is_not_asked_for_a_password(board: SshServer, tmp_path) -> None:
    options = (*board.options[:4], "-o", "IdentitiesOnly=yes", *board.options[6:])
    with pytest.raises(DeviceUnreachable, match="Permission denied"):
        SshDevice(board.host, options=options).shell("true")


def test_one_connection_serves_all_commands(board: SshServer) -> None:
    device = SshDevice(board.host, options=board.options)
    clients = {device.shell("echo $SSH_CONNECTION").output for _ in range(3)}
    assert len(clients) == 1  # the client's port is the same
    device.close()
    assert device.shell("echo $SSH_CONNECTION").output not in clients


def test_without_the_client_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceUnreachable, match="openssh-client"):
        SshDevice("somewhere").shell("true")
