"""Any board that lets us in by SSH: OpenSSH's own client, with the user's own configuration.

Host names, users, keys, jump hosts and pinned host keys come from `~/.ssh/config`, an agent and
`known_hosts`, as wherever else the user works. Nobody is asked for a password or to trust a key.
"""

import shlex
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from workers.devices.device import ANSWER_LIMIT_S, Finished, has_timed_out, limited
from workers.devices.errors import DeviceCommandFailed, DeviceTimedOut, DeviceUnreachable

_CONNECT_LIMIT_S = 20
_GRACE_S = 30.0  # beyond a command's own limit: for connecting, and for ending it there
_COPY_LIMIT_S = 600.0
_OWN_ERROR = 255  # the client's status where it could not run the command
_MESSAGE_LENGTH = 600
_SCRATCH_FOLDER = "/tmp"  # noqa: S108  (mktemp makes a folder of its own there)


class SshDevice:
    """A Linux machine, by the name or `user@address` that `ssh` takes.

    options: further ones for the client, such as ("-p", "2222").
    """

    def __init__(
        self, host: str, *, options: Sequence[str] = (), scratch_folder: str = _SCRATCH_FOLDER
    ) -> None:
        self._host = host
        self._scratch_folder = scratch_folder
        # One connection serves all commands; its socket's path must be short.
        sockets = tempfile.mkdtemp(prefix="archfront-ssh-")
        weakref.finalize(self, shutil.rmtree, sockets, ignore_errors=True)
        self._client = [
            "ssh",
            *("-o", "BatchMode=yes"),
            *("-o", f"ConnectTimeout={_CONNECT_LIMIT_S}"),
            *("-o", "ServerAliveInterval=15"),
            *("-o", "ServerAliveCountMax=4"),
            *("-o", "ControlMaster=auto"),
            *("-o", f"ControlPath={sockets}/%C"),
            *("-o", "ControlPersist=60"),
            *options,
        ]

    @property
    def scratch_folder(self) -> str:
        """See `Device.scratch_folder`."""
        return self._scratch_folder

    def shell(self, line: str, limit_s: float = ANSWER_LIMIT_S) -> Finished:
        """See `Device.shell`; the device needs `timeout`, as coreutils and BusyBox have it."""
        start_s = time.monotonic()
        done = self._run(limited(line, limit_s, "/bin/sh"), limit_s + _GRACE_S)
        if has_timed_out(done.status, time.monotonic() - start_s, limit_s):
            raise DeviceTimedOut(f"{line[:200]!r} took longer than {limit_s:g} s on {self._host}")
        return done

    def push(self, source: Path, path: str) -> None:
        """See `Device.push`; the file appears at once, whole."""
        part = shlex.quote(f"{path}.part")
        with source.open("rb") as file:
            line = f"cat > {part} && mv -f {part} {shlex.quote(path)}"
            done = self._run(line, _COPY_LIMIT_S, stdin=file)
        if done.status != 0:
            raise DeviceCommandFailed(
                f"{source.name} cannot be copied to {self._host}:{path}: {_end(done.errors)}"
            )

    def pull(self, path: str, target: Path) -> None:
        """See `Device.pull`."""
        part = target.with_name(f".{target.name}.part")
        try:
            with part.open("wb") as file:
                done = self._run(f"cat {shlex.quote(path)}", _COPY_LIMIT_S, stdout=file)
            if done.status != 0:
                raise DeviceCommandFailed(
                    f"{self._host}:{path} cannot be fetched: {_end(done.errors)}"
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """See `Device.close`."""
        subprocess.run(  # noqa: S603  (the client that the user has installed)
            [*self._client, "-O", "exit", self._host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=ANSWER_LIMIT_S,
        )

    def _run(
        self,
        line: str,
        limit_s: float,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
    ) -> Finished:
        try:
            done = subprocess.run(  # noqa: S603  (the client that the user has installed)
                [*self._client, self._host, line],
                stdin=stdin or subprocess.DEVNULL,
                stdout=stdout or subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
                timeout=limit_s,
            )
        except FileNotFoundError:
            raise DeviceUnreachable(
                "the OpenSSH client `ssh` is not installed on this worker; install it "
                "(Debian: openssh-client)"
            ) from None
        except subprocess.TimeoutExpired:
            raise DeviceTimedOut(
                f"{self._host} gave no answer to {line[:200]!r} within {limit_s:g} s"
            ) from None
        output = (done.stdout or b"").decode(errors="replace")
        errors = done.stderr.decode(errors="replace")
        if done.returncode == _OWN_ERROR:
            raise DeviceUnreachable(
                f"ssh {self._host}: {_end(errors)}; see that `ssh -o BatchMode=yes {self._host} "
                "true` works for the user that the worker runs as"
            )
        return Finished(done.returncode, output, errors)


def _end(text: str) -> str:
    return " ".join(text.split())[-_MESSAGE_LENGTH:] or "no reason given"
