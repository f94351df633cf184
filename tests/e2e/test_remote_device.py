"""A trial measured on a device that a worker reaches by SSH: a real sshd on loopback."""

from pathlib import Path

import pytest

from service.domain.experiment import ExperimentStatus
from tests.e2e.local_service import LocalService, tiny_experiment
from tests.workers.benches.conftest import bare_python
from tests.workers.devices.conftest import board
from tests.workers.devices.ssh_server import SshServer

__all__ = ["bare_python", "board"]

pytestmark = pytest.mark.alone


@pytest.mark.slow
def test_a_trial_is_measured_here_and_on_a_board(
    service: LocalService, board: SshServer, bare_python: str, tmp_path: Path
) -> None:
    devices = tmp_path / "devices.yaml"
    user, host = board.host.split("@")
    devices.write_text(
        "devices:\n"
        "  - kind: ssh\n"
        "    targets: [board]\n"
        f"    host: {host}\n"
        f"    user: {user}\n"
        f"    port: {board.port}\n"
        f"    identity_file: {board.identity_file}\n"
        f"    known_hosts: {board.known_hosts}\n"
        f"    python: {bare_python}\n"
        f"    scratch_folder: {tmp_path}\n"
        "    runtimes: [onnxruntime]\n"
        "    cores: [0]\n"
    )
    client = service.client()
    spec = tiny_experiment("two", budget=1, targets=["this-host", "board"])
    experiment = client.create_experiment(spec).id
    service.start_worker("both", "--devices", str(devices), "--slots", "2")
    view = client.wait(experiment, poll_s=0.5, timeout_s=240)
    assert view.experiment.status is ExperimentStatus.COMPLETED, service.log("both")
    (trial,) = client.list_trials(experiment)
    here, there = (trial.measurements[name] for name in ("latency_ms", "latency_ms@board"))
    assert there.mean > 0
    assert there.protocol["agreement_worst_relative_error"] < 1e-4
    assert there.protocol["pinned_cores"] == [0]
    assert there.protocol["reference"] == here.protocol["reference"]  # in one calibration
    # It is the same machine, which its own shell has told.
    assert there.protocol["device"]["processor"] == here.protocol["device"]["processor"]
    # As one device, it is measured on by one stage at a time, whatever the target.
    (device,) = client.read_fleet().devices
    assert set(device.targets) == {"this-host", "board"}
    assert [path for path in tmp_path.iterdir() if path.name.startswith("archfront-")] == []
    assert service.broken_invariants() == []
