"""A folder on a device for as long as one measurement takes."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from workers.devices.device import Device, Finished
from workers.devices.errors import DeviceCommandFailed, DeviceTimedOut, DeviceUnreachable

_MESSAGE_LENGTH = 600


class Workspace:
    """A fresh folder on the device; names are of files in it."""

    def __init__(self, device: Device, folder: str) -> None:
        self._device = device
        self.folder = folder

    def push(self, source: Path, name: str) -> None:
        """Copies a file there. Raises: DeviceUnreachable; DeviceCommandFailed."""
        self._device.push(source, f"{self.folder}/{name}")

    def pull(self, name: str, target: Path) -> None:
        """Copies a file from there. Raises: DeviceUnreachable; DeviceCommandFailed."""
        self._device.pull(f"{self.folder}/{name}", target)

    def shell(self, line: str, limit_s: float) -> Finished:
        """Runs a line of shell in the folder; see `Device.shell`."""
        return self._device.shell(f"cd {shlex.quote(self.folder)} && {{ {line}\n}}", limit_s)

    def run(self, command: Sequence[str], limit_s: float) -> str:
        """What the command, run in the folder, has printed.

        Raises: DeviceUnreachable; DeviceTimedOut; DeviceCommandFailed if its status is not 0,
            with the end of what it said.
        """
        done = self.shell(shlex.join(command), limit_s)
        if done.status != 0:
            said = (done.errors.strip() or done.output.strip())[-_MESSAGE_LENGTH:]
            raise DeviceCommandFailed(
                f"{command[0]} ended with status {done.status} on the device: {said}"
            )
        return done.output


@contextmanager
def workspace(device: Device) -> Iterator[Workspace]:
    """A fresh folder on the device, gone afterwards if the device can still be reached.

    Raises: DeviceUnreachable; DeviceCommandFailed if it cannot be made.
    """
    pattern = shlex.quote(f"{device.scratch_folder}/archfront-XXXXXXXX")
    made = device.shell(f"mktemp -d {pattern}")
    folder = made.output.strip()
    if made.status != 0 or not folder:
        raise DeviceCommandFailed(
            f"no folder can be made in {device.scratch_folder} on the device: "
            f"{made.errors.strip()[-_MESSAGE_LENGTH:]}; free space there, or name another in the "
            "devices file (scratch_folder)"
        )
    try:
        yield Workspace(device, folder)
    finally:
        with suppress(DeviceUnreachable, DeviceTimedOut):
            device.shell(f"rm -rf -- {shlex.quote(folder)}")
