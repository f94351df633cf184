import pytest

from service.domain.device import DeviceProfile
from tests.workers.devices.ssh_server import SshServer
from workers.devices.adb import AdbDevice
from workers.devices.device import Device, Finished
from workers.devices.errors import DeviceCommandFailed
from workers.devices.local import LocalDevice
from workers.devices.probe import device_name, probe
from workers.devices.ssh import SshDevice
from workers.measurement.device_profile import profile_this_host
from workers.registration import machine_device

PHONE = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 9",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "Tensor G4",
    "ro.build.version.release": "16",
    "ro.serialno": "41021FDJH000XX",
}


def test_every_way_to_this_host_finds_the_same_device_and_profile(board: SshServer) -> None:
    own = profile_this_host()
    ways: list[Device] = [LocalDevice(), SshDevice(board.host, options=board.options)]
    for way in ways:
        found = probe(way, own.torch)
        assert found.name == machine_device()
        assert found.profile.key == own.key
        rounded = {"memory_bytes": own.memory_bytes}
        assert found.profile.model_copy(update=rounded) == own
        way.close()


def test_a_phone_tells_by_its_properties(phone, tmp_path) -> None:
    serial, options = phone
    lines = "".join(f"{name}) echo '{value}' ;;\n" for name, value in PHONE.items())
    (tmp_path / "getprop").write_text(f"#!/bin/sh\ncase $1 in\n{lines}esac\n")
    (tmp_path / "getprop").chmod(0o755)
    device = WithPath(AdbDevice(serial, options=options), str(tmp_path))
    found = probe(device, "2.13.0")
    assert (found.profile.make, found.profile.model) == ("Google", "Pixel 9")
    assert found.profile.processor == "Google Tensor G4"
    assert found.profile.system == "Android 16"
    assert "41021FDJH000XX" not in found.name


class WithPath:
    """A device whose shell finds these programs first."""

    def __init__(self, device: Device, path: str) -> None:
        self._device, self._path = device, path
        self.scratch_folder = device.scratch_folder
        self.push, self.pull, self.close = device.push, device.pull, device.close

    def shell(self, line: str, limit_s: float = 60.0) -> Finished:
        return self._device.shell(f"export PATH={self._path}:$PATH\n{line}", limit_s)


class Silent(LocalDevice):
    def shell(self, line: str, limit_s: float = 60.0) -> Finished:
        return Finished(0, "architecture\taarch64\nhost\tb\nkernel\t1\nprocessor\tx\n", "")


def test_a_device_that_tells_too_little_is_refused() -> None:
    with pytest.raises(DeviceCommandFailed, match="does not tell its cores"):
        probe(Silent(), None)


def test_the_identity_does_not_leave_the_device() -> None:
    name = device_name("board", "0123456789abcdef")
    assert name.startswith("board-")
    assert "0123456789abcdef" not in name
    assert device_name("board", "other") != name
    assert device_name("board", "") == "board"


def test_the_same_hardware_after_an_update_has_the_same_key() -> None:
    found = probe(LocalDevice(), "2.13.0").profile
    assert isinstance(found, DeviceProfile)
    assert probe(LocalDevice(), None).profile.key == found.key
