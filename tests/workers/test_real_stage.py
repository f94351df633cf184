"""A whole worker with the real stage process: torch, weights, crashes."""

import pytest

from service.schemas.leases import CompleteRequest, FailRequest
from tests.workers.grants import make_grant
from tests.workers.waiting import eventually, is_alive

pytestmark = pytest.mark.usefixtures("stranger_package")


def test_a_training_becomes_a_result_with_weights_curve_and_log(server, worker):
    server.grants.append(make_grant({"steps": 30}))
    report = server.report()
    assert isinstance(report, CompleteRequest)
    error = report.measurements["error"]
    assert error.mean == pytest.approx(server.curve()[-1][1])
    assert (error.n, error.unit) == (64, "1")
    assert error.protocol["seed"] == 7
    assert error.protocol["steps"] == 30
    assert error.protocol["threads"] == 1
    assert error.protocol["notes"] == {"fits": "sine"}
    assert not report.early_stopped
    (artifact,) = report.artifacts
    assert artifact.name == "network.safetensors"
    assert b'"2.weight"' in server.artifacts[artifact.sha256]
    assert report.environment["packages"]["torch"]
    assert [step for step, _ in server.curve()] == list(range(1, 31))
    assert "training {'width': 8" in server.log()
    assert eventually(lambda: not worker.spooled)
    assert eventually(lambda: not list((worker.folder / "work").iterdir()))


def test_a_crash_is_the_machines_fault_and_the_worker_goes_on(server, worker):
    server.grants += [
        make_grant({"behaviour": "kill"}, lease_id="lease-kill"),
        make_grant({"behaviour": "segfault"}, lease_id="lease-segfault"),
        make_grant({"behaviour": "leave_child"}, lease_id="lease-leave"),
    ]
    killed, crashed = server.report("lease-kill"), server.report("lease-segfault")
    assert isinstance(killed, FailRequest)
    assert (killed.fault, crashed.fault) == ("machine", "machine")
    assert "SIGKILL" in killed.message
    assert "training {" in killed.detail
    assert "SIGSEGV" in crashed.message
    assert "in _misbehave" in crashed.detail  # the stack at the crash
    assert isinstance(server.report("lease-leave"), CompleteRequest)
    child = int((worker.settings.cache_folder / "child.pid").read_text())
    assert eventually(lambda: not is_alive(child), 2)


def test_a_stop_gives_what_there_is(server, worker):
    server.grants.append(make_grant({"steps": 100_000, "step_s": 0.02}))
    assert eventually(lambda: len(server.curve()) > 5)
    server.commands["lease-1"] = "stop"
    report = server.report()
    assert isinstance(report, CompleteRequest)
    assert report.early_stopped
    assert report.measurements["error"].mean == pytest.approx(server.curve()[-1][1])
    assert report.measurements["error"].protocol["early_stopped"] is True
    assert report.artifacts == ()
