"""The worker's own host as a device."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from workers.devices.device import ANSWER_LIMIT_S, Finished
from workers.devices.errors import DeviceCommandFailed, DeviceTimedOut


class LocalDevice:
    """The worker's own host.

    scratch_folder: None takes the system's folder for temporary files.
    """

    def __init__(self, scratch_folder: str | None = None) -> None:
        self._scratch_folder = scratch_folder or tempfile.gettempdir()

    @property
    def scratch_folder(self) -> str:
        """See `Device.scratch_folder`."""
        return self._scratch_folder

    def shell(self, line: str, limit_s: float = ANSWER_LIMIT_S) -> Finished:
        """See `Device.shell`; whatever the line has started ends with it."""
        process = subprocess.Popen(  # noqa: S603  (what we compose, for ourselves)
            ["/bin/sh", "-c", line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise DeviceTimedOut(f"{line[:200]!r} took longer than {limit_s:g} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return Finished(process.returncode, output, errors)

    def push(self, source: Path, path: str) -> None:
        """See `Device.push`."""
        self._copy(source, Path(path))

    def pull(self, path: str, target: Path) -> None:
        """See `Device.pull`."""
        self._copy(Path(path), target)

    def close(self) -> None:
        """Nothing to let go of."""

    def _copy(self, source: Path, target: Path) -> None:
        part = target.with_name(f".{target.name}.part")
        try:
            shutil.copyfile(source, part)
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DeviceCommandFailed(f"{source} cannot be copied to {target}: {error}") from error
