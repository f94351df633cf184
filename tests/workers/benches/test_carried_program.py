"""The measuring program where there is nothing of ours: a bare Python behind a real SSH server."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from service.domain.device import MeasurementSettings
from tests.workers.devices.ssh_server import SshServer
from workers.benches.carried_program import carried_program
from workers.benches.program_file import write_program
from workers.benches.remote_python import RemotePython, runtimes_there
from workers.devices.errors import DeviceCommandFailed, DeviceTimedOut
from workers.devices.local import LocalDevice
from workers.devices.probe import probe
from workers.devices.ssh import SshDevice
from workers.errors import GrantRefused
from workers.measurement.agreement import ExportDisagrees
from workers.measurement.measure import measure
from workers.measurement.reference import reference_runnable
from workers.measurement.reference_network import build_reference, reference_input
from workers.runtimes.errors import RuntimeMissing
from workers.runtimes.onnxruntime import OnnxRuntime


def test_the_same_sources_pack_into_the_same_bytes(tmp_path: Path) -> None:
    write_program(tmp_path / "one")
    write_program(tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_it_finds_what_the_devices_python_has(bare_python: str, tmp_path: Path) -> None:
    device = LocalDevice(str(tmp_path))
    found = runtimes_there(device, RemotePython(bare_python))
    assert found == {"onnxruntime": OnnxRuntime().version()}
    with (
        pytest.raises(RuntimeMissing, match=r"'openvino' is not there for .*install it there"),
        carried_program(
            device, probe(device, None), "openvino", RemotePython(bare_python), tmp_path
        ),
    ):
        pass


def test_a_device_without_the_python_says_which_setting_names_it(tmp_path: Path) -> None:
    with pytest.raises(DeviceCommandFailed, match=r"no-such-python.*see `python` in the devices f"):
        runtimes_there(LocalDevice(str(tmp_path)), RemotePython("no-such-python"))
    assert list(tmp_path.iterdir()) == []


class AnotherWhenExported(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * (1.02 if torch.compiler.is_exporting() else 1.0)


@pytest.mark.alone
def test_a_whole_measurement_compares_the_devices_own_answers(
    board: SshServer, bare_python: str, tmp_path: Path
) -> None:
    device = SshDevice(board.host, options=board.options, scratch_folder=str(tmp_path))
    settings = MeasurementSettings(min_pairs=16, relative_ci=0.5, time_limit_s=2.0)
    inputs, runtime = [(torch.ones(1, 4),)], OnnxRuntime()
    probed, cache = probe(device, None), tmp_path / "cache"
    with carried_program(
        device, probed, "onnxruntime", RemotePython(bare_python), tmp_path
    ) as bench:
        # Large enough for its weights to show in the peak memory.
        found = measure(nn.Linear(4, 200_000), inputs, settings, runtime, bench, cache, tmp_path, 0)
        assert found.metrics["latency_ms"].mean > 0
        assert found.metrics["peak_memory_bytes"].mean > 0
        assert found.protocol["device"] == probed.profile.model_dump(mode="json")
        assert found.protocol["agreement_inputs"] == 1
        with pytest.raises(ExportDisagrees, match=r"on input 0 differs from torch's by 0\.02"):
            measure(AnotherWhenExported(), inputs, settings, runtime, bench, cache, tmp_path, 0)
    device.close()


ENDLESS = "import time; open('begun', 'w').close(); time.sleep(61.5)"


@pytest.mark.parametrize("way", ["local", "ssh"])
def test_what_nobody_listens_to_ends_and_leaves_nothing(
    way: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The worker's side dies, as it does when a stage is cancelled."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    # The watch of the real program, in front of work that takes long.
    script = folder / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n"
        "from pathlib import Path\n"
        "from workers.measurement.listener import end_unheard\n"
        f"end_unheard(Path({str(folder)!r}))\n{ENDLESS}"
    )
    if way == "ssh":
        board = request.getfixturevalue("board")
        made = f"SshDevice({board.host!r}, options={board.options!r})"
    else:
        made = "LocalDevice()"
    asking = (
        "from workers.devices.local import LocalDevice\n"
        "from workers.devices.ssh import SshDevice\n"
        f"{made}.shell('cd {folder} && {sys.executable} script.py', 100)"
    )
    worker = subprocess.Popen([sys.executable, "-c", asking], start_new_session=True)
    try:
        assert _soon((folder / "begun").exists)
    finally:
        clients = psutil.Process(worker.pid).children()
        worker.kill()
        for client in clients:
            if client.name() == "ssh":  # as where a stage's whole group is ended
                client.kill()
        worker.wait()
    assert _soon(lambda: not folder.exists())
    assert _soon(lambda: not _running(str(script), "script.py"))


def _running(*signs: str) -> bool:
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return any(line[-1:] == [sign] and "python" in line[0] for line in lines for sign in signs)


def _soon(claim, limit_s: float = 20.0) -> bool:
    end = time.monotonic() + limit_s
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_program_that_takes_too_long_is_ended(monkeypatch, tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("workers.benches.remote_python.PROGRAM_LIMIT_S", 0.5)
    with pytest.raises(DeviceTimedOut, match=r"took longer than 0\.5 s"):
        runtimes_there(LocalDevice(str(tmp_path)), RemotePython(str(slow)))
    assert [one.name for one in tmp_path.iterdir()] == ["python"]


@pytest.mark.alone
def test_more_threads_than_the_board_has_are_the_machines_fault(
    bare_python: str, tmp_path: Path
) -> None:
    device = LocalDevice(str(tmp_path))
    exported = OnnxRuntime().export(build_reference(), reference_input(), tmp_path)
    with (
        carried_program(
            device, probe(device, None), "onnxruntime", RemotePython(bare_python), tmp_path
        ) as bench,
        pytest.raises(GrantRefused, match=r"on .*: measurement\.threads is 64"),
    ):
        bench.calibrate(reference_runnable(exported.path), 64)
