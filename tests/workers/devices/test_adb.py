import pytest

from workers.devices.adb import AdbDevice
from workers.devices.errors import DeviceUnreachable


def test_a_phone_that_is_not_there_is_the_machines_fault(phone) -> None:
    _, options = phone
    with pytest.raises(DeviceUnreachable, match=r"'no-such-serial' not found; see that `adb dev"):
        AdbDevice("no-such-serial", options=options).shell("true")


def test_without_the_client_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceUnreachable, match="Debian: adb"):
        AdbDevice("somewhere").shell("true")
