import sys

import pytest

from tests.workers.devices.fake_nvml import FakeNvml
from workers.devices.errors import DeviceCommandFailed, DeviceUnreachable
from workers.devices.gpu_probe import gpu_probed, torch_version_on_gpu
from workers.devices.local import LocalDevice
from workers.devices.nvml import Gpu, GpuState
from workers.measurement.device_profile import profile_this_host


@pytest.mark.parametrize("name", ["0", "GPU-1234"])
def test_a_gpu_is_found_by_number_and_by_uuid(name: str) -> None:
    library = FakeNvml()
    with Gpu(name, library) as gpu:
        assert library.begun == 1
        identity = gpu.identity()
        assert gpu.state() == GpuState(1_755, 2_619, False, 5_000)
    assert library.begun == 0
    assert (identity.name, identity.cores) == ("NVIDIA H100 80GB HBM3", 16_896)
    assert identity.application_clock_mhz == 1_980


@pytest.mark.parametrize("name", ["7", "GPU-none"])
def test_a_gpu_that_is_not_there_says_what_to_correct(name: str) -> None:
    with (
        pytest.raises(DeviceUnreachable, match=rf"no GPU '{name}' here .*correct `gpu` in the dev"),
        Gpu(name, FakeNvml()),
    ):
        pass


@pytest.mark.parametrize(
    ("reasons", "slowed_down"),
    [(0, False), (0x1, False), (0x4, False), (0x8, True), (0x20, True), (0x40, True), (0x84, True)],
    ids=["none", "at rest", "power cap", "hardware", "software heat", "heat", "power brake"],
)
def test_heat_and_failing_supply_are_slowdowns_and_rest_is_none(reasons, slowed_down) -> None:
    library = FakeNvml()
    library.reasons = reasons
    with Gpu("0", library) as gpu:
        assert gpu.state().slowed_down is slowed_down


def test_what_a_gpu_does_not_tell_is_left_out() -> None:
    with Gpu("0", FakeNvml("clock", "energy")) as gpu:
        assert gpu.identity().application_clock_mhz is None
        assert gpu.state().energy_mj is None
        assert not gpu.counts_energy()
    with Gpu("0", FakeNvml()) as gpu:
        assert gpu.counts_energy()


def test_its_profile_is_its_own_and_its_uuid_does_not_leave(monkeypatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "box")
    host = profile_this_host()
    with Gpu("0", FakeNvml()) as gpu:
        probed = gpu_probed(gpu.identity(), host)
    assert probed.name.startswith("box-")
    assert "1234" not in probed.name.removeprefix("box-")[:4]
    profile = probed.profile
    assert (profile.processor, profile.cores) == ("NVIDIA H100 80GB HBM3", 16_896)
    assert profile.governor == "application clock 1980 MHz"
    assert profile.kernel == f"{host.kernel}, driver 570.86.15"
    assert profile.key != host.key


def test_without_the_package_it_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(DeviceUnreachable, match=r"pip install 'archfront\[cuda\]'"):
        Gpu("0")


def test_a_torch_without_gpus_is_told_apart(monkeypatch, tmp_path) -> None:
    told = tmp_path / "python"
    told.write_text("#!/bin/sh\necho $TOLD\n")
    told.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(told))
    monkeypatch.setenv("TOLD", "True 2.13.0 12.8")
    assert torch_version_on_gpu(LocalDevice()) == "2.13.0 CUDA 12.8"
    monkeypatch.setenv("TOLD", "False 2.13.0+cpu None")
    with pytest.raises(DeviceCommandFailed, match=r"cannot use a GPU \(False 2\.13\.0\+cpu None"):
        torch_version_on_gpu(LocalDevice())
