"""A real OpenSSH server on the loopback interface, with keys of its own."""

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


@dataclass(frozen=True)
class SshServer:
    """host: as the client takes it; options: port, key and pinned host key for it."""

    host: str
    port: int
    identity_file: Path
    known_hosts: Path
    process: "subprocess.Popen[bytes]"

    @property
    def options(self) -> tuple[str, ...]:
        """Nothing of it is the user's own."""
        return (
            *("-F", "none", "-p", str(self.port), "-i", str(self.identity_file)),
            *("-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", "StrictHostKeyChecking=yes"),
        )


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """The server, once it answers; its files lie in `folder`."""
    folder.chmod(0o700)
    for name in ("host_key", "user_key"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True)
    authorized = folder / "authorized_keys"
    authorized.write_bytes((folder / "user_key.pub").read_bytes())
    authorized.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder / 'host_key'}\n"
        f"AuthorizedKeysFile {authorized}\nPidFile {folder / 'pid'}\nStrictModes no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUsePAM no\n"
    )
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    if Path("/run").exists():
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd, started by root, lets go of it
    command = [SSHD, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")]
    with subprocess.Popen(command) as process:
        try:
            _wait_for(port)
            yield SshServer(
                f"{getpass.getuser()}@127.0.0.1",
                port,
                folder / "user_key",
                folder / "known_hosts",
                process,
            )
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("sshd did not start")
