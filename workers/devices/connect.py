"""Makes devices of what the devices file says of them."""

from workers.devices.adb import AdbDevice
from workers.devices.device import Device
from workers.devices.devices_file import AdbEntry, CudaEntry, Entry, LocalEntry, SshEntry
from workers.devices.local import LocalDevice
from workers.devices.ssh import SshDevice


def connect(entry: Entry) -> Device:
    """The device; whether it answers shows at the first command."""
    match entry:
        case LocalEntry() | CudaEntry():
            return LocalDevice()
        case SshEntry():
            host = entry.host if entry.user is None else f"{entry.user}@{entry.host}"
            return SshDevice(host, options=_ssh_options(entry), scratch_folder=entry.scratch_folder)
        case AdbEntry():
            port = entry.server_port
            options = () if port is None else ("-P", str(port))
            return AdbDevice(entry.serial, options=options, scratch_folder=entry.scratch_folder)


def _ssh_options(entry: SshEntry) -> tuple[str, ...]:
    options: list[str] = []
    if entry.port is not None:
        options += ["-p", str(entry.port)]
    if entry.identity_file is not None:
        key = str(entry.identity_file.expanduser())
        options += ["-i", key, "-o", "IdentitiesOnly=yes"]
    if entry.known_hosts is not None:
        file = str(entry.known_hosts.expanduser()).replace('"', "")
        options += ["-o", f'UserKnownHostsFile="{file}"', "-o", "StrictHostKeyChecking=yes"]
    return tuple(options)
