"""Android by its debug bridge: the `adb` client of the platform tools."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from workers.devices.device import ANSWER_LIMIT_S, Finished, has_timed_out, limited
from workers.devices.errors import DeviceCommandFailed, DeviceTimedOut, DeviceUnreachable

_GRACE_S = 30.0  # beyond a command's own limit: for connecting, and for ending it there
_COPY_LIMIT_S = 600.0
_MESSAGE_LENGTH = 600
_LOST = ("error: device", "error: no devices", "error: protocol fault", "error: closed")
_LOST_ELSEWHERE = ("cannot connect to daemon", "failed to connect", "device offline")


class AdbDevice:
    """A phone or board that `adb devices` lists, by its serial number.

    options: further ones for the client, such as ("-P", "5037") for another server's port.
    """

    def __init__(
        self,
        serial: str,
        *,
        options: Sequence[str] = (),
        scratch_folder: str = "/data/local/tmp",
    ) -> None:
        self._serial = serial
        self._scratch_folder = scratch_folder
        self._client = ["adb", *options, "-s", serial]

    @property
    def scratch_folder(self) -> str:
        """See `Device.scratch_folder`; apps and shells may execute what lies in this one."""
        return self._scratch_folder

    def shell(self, line: str, limit_s: float = ANSWER_LIMIT_S) -> Finished:
        """See `Device.shell`; Android's toybox has `timeout`."""
        start_s = time.monotonic()
        done = self._run(["shell", "-T", limited(line, limit_s, "sh")], limit_s + _GRACE_S)
        if has_timed_out(done.status, time.monotonic() - start_s, limit_s):
            raise DeviceTimedOut(f"{line[:200]!r} took longer than {limit_s:g} s on {self._serial}")
        return done

    def push(self, source: Path, path: str) -> None:
        """See `Device.push`."""
        done = self._run(["push", str(source), path], _COPY_LIMIT_S)
        if done.status != 0:
            raise DeviceCommandFailed(
                f"{source.name} cannot be copied to {self._serial}:{path}: {_end(done)}"
            )

    def pull(self, path: str, target: Path) -> None:
        """See `Device.pull`."""
        part = target.with_name(f".{target.name}.part")
        try:
            done = self._run(["pull", path, str(part)], _COPY_LIMIT_S)
            if done.status != 0:
                raise DeviceCommandFailed(f"{self._serial}:{path} cannot be fetched: {_end(done)}")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing to let go of: the connection is the adb server's."""

    def _run(self, arguments: Sequence[str], limit_s: float) -> Finished:
        try:
            done = subprocess.run(  # noqa: S603  (the client that the user has installed)
                [*self._client, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=limit_s,
            )
        except FileNotFoundError:
            raise DeviceUnreachable(
                "the Android debug bridge `adb` is not installed on this worker; install the "
                "platform tools (Debian: adb)"
            ) from None
        except subprocess.TimeoutExpired:
            raise DeviceTimedOut(
                f"{self._serial} gave no answer to {' '.join(arguments)[:200]!r} within "
                f"{limit_s:g} s"
            ) from None
        finished = Finished(done.returncode, done.stdout, done.stderr)
        if done.returncode != 0 and _is_lost(done.stderr):
            raise DeviceUnreachable(
                f"adb -s {self._serial}: {_end(finished)}; see that `adb devices` lists it as "
                "`device` for the user that the worker runs as, and allow debugging on its screen"
            )
        return finished


def _is_lost(errors: str) -> bool:
    said = errors.strip().lower()
    return said.startswith(_LOST) or any(sign in said for sign in _LOST_ELSEWHERE)


def _end(done: Finished) -> str:
    text = " ".join((done.errors.strip() or done.output.strip()).split())
    return text[-_MESSAGE_LENGTH:] or "no reason given"
