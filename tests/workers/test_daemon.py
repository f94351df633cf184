"""A whole worker against a small real server, with quick stages: leases, spool, drain."""

import time

import psutil
import pytest

from service.domain.errors import (
    InvalidRequest,
    LeaseLost,
    MeasurementMissing,
    Unauthenticated,
    Unavailable,
)
from service.schemas.leases import CompleteRequest, FailRequest
from tests.workers.grants import make_grant
from tests.workers.notify_socket import NotifySocket
from tests.workers.running_worker import RunningWorker
from tests.workers.waiting import eventually, processes_with
from workers.watchdog import Watchdog

pytestmark = pytest.mark.usefixtures("quick_stage")

SLOW = {"steps": 100_000, "step_s": 0.02}


@pytest.mark.parametrize("how", ["cancelled", "lost"])
def test_work_that_is_not_wanted_any_more_is_dropped_without_a_word(
    server, worker, how, nothing_left_running
):
    server.grants.append(make_grant(SLOW))
    assert eventually(lambda: len(server.curve()) > 2)
    if how == "cancelled":
        server.commands["lease-1"] = "cancel"
    else:
        server.lost.add("lease-1")
    server.grants.append(make_grant(lease_id="lease-2"))
    server.report("lease-2")  # the slot is free again
    assert "lease-1" not in server.reports
    assert eventually(lambda: not worker.spooled)


def test_a_lease_without_renewal_ends_before_the_server_would_give_it_away(
    server, url, tmp_path, nothing_left_running
):
    server.times = server.times.model_copy(update={"ttl_s": 3.0, "stop_margin_s": 1.0})
    server.grants.append(make_grant(SLOW, ttl_s=3.0, heartbeat_s=0.1))
    with RunningWorker(url, tmp_path):
        assert eventually(server.curve)
        server.is_down = True
        assert eventually(lambda: not stages(nothing_left_running), 2.9)
        server.is_down = False
        server.grants.append(make_grant(lease_id="lease-2"))
        server.report("lease-2")
    assert "lease-1" not in server.reports


def stages(mark):
    return [one for one in processes_with("ARCHFRONT_TEST_RUN", mark) if is_stage(one)]


def is_stage(process):
    try:
        return any("quick_stage.py" in argument for argument in process.cmdline())
    except psutil.NoSuchProcess:  # it has ended since it was found
        return False


def test_training_goes_on_while_the_server_is_down(server, worker):
    server.grants.append(make_grant({"steps": 60, "step_s": 0.03}))
    assert eventually(lambda: len(server.curve()) > 2)
    server.is_down = True
    assert eventually(lambda: worker.spooled)  # it has finished meanwhile
    assert "lease-1" not in server.reports
    server.is_down = False
    assert server.report().measurements["error"].protocol["steps"] == 60
    assert [step for step, _ in server.curve()] == list(range(1, 61))
    assert eventually(lambda: not worker.spooled)


def test_a_report_does_not_overtake_the_curve_when_the_server_comes_back(server, worker):
    server.refusals["heartbeat"] = [Unavailable()] * 4
    server.grants.append(make_grant({"steps": 5}))
    assert isinstance(server.report(), CompleteRequest)
    assert [step for step, _ in server.curve()] == list(range(1, 6))


def test_a_result_outlives_the_worker_and_is_sent_by_the_next(server, url, tmp_path):
    server.grants.append(make_grant())
    server.refusals["complete"] = [Unavailable()] * 1_000
    with RunningWorker(url, tmp_path) as worker:
        assert eventually(lambda: worker.spooled)
    assert worker.spooled
    assert "lease-1" not in server.reports
    server.refusals.clear()
    with RunningWorker(url, tmp_path) as worker:
        report = server.report()
        assert isinstance(report, CompleteRequest)
        assert report.artifacts[0].sha256 in server.artifacts
        assert eventually(lambda: not worker.spooled)


def test_a_result_of_a_lost_lease_is_dropped(server, worker):
    server.refusals["complete"] = [LeaseLost()]
    server.grants += [make_grant(), make_grant(lease_id="lease-2")]
    server.report("lease-2")
    assert "lease-1" not in server.reports
    assert eventually(lambda: not worker.spooled)


def test_a_result_that_the_server_cannot_take_fails_the_trial(server, worker):
    server.refusals["complete"] = [MeasurementMissing("latency_ms was not reported")]
    server.grants.append(make_grant())
    report = server.report()
    assert isinstance(report, FailRequest)
    assert report.fault == "recipe"
    assert "latency_ms was not reported" in report.message


def test_a_log_that_is_refused_costs_neither_the_curve_nor_the_lease(server, worker):
    server.grants.append(make_grant({"steps": 20, "step_s": 0.05}))
    assert eventually(lambda: "lease-1" in server.heartbeats)
    server.refusals["heartbeat"] = [InvalidRequest("a gap in the log")]
    assert isinstance(server.report(), CompleteRequest)
    assert [step for step, _ in server.curve()] == list(range(1, 21))


def test_slots_work_side_by_side(server, url, tmp_path, nothing_left_running):
    server.grants += [make_grant(SLOW, lease_id=f"lease-{n}") for n in range(3)]
    with RunningWorker(url, tmp_path, slots=2):
        assert eventually(lambda: server.curve("lease-0") and server.curve("lease-1"))
        assert len(server.grants) == 1
    assert {server.reports[f"lease-{n}"][0].fault for n in range(2)} == {"preempted"}


def test_draining_lets_running_stages_finish_and_takes_no_other(server, url, tmp_path):
    server.grants += [make_grant({"steps": 40, "step_s": 0.02})]
    with RunningWorker(url, tmp_path, drain_s=60.0) as worker:
        assert eventually(server.curve)
        worker.daemon.drain()
        server.grants.append(make_grant(lease_id="lease-2"))
        assert worker.ended()
    assert isinstance(server.report(), CompleteRequest)
    assert "lease-2" not in server.reports
    assert server.statuses == ["draining", "stopped"]


def test_what_outlasts_the_drain_is_handed_back(server, url, tmp_path, nothing_left_running):
    server.grants += [make_grant(SLOW)]
    with RunningWorker(url, tmp_path, drain_s=0.5) as worker:
        assert eventually(server.curve)
        worker.daemon.drain()
        assert worker.ended()
    report = server.report()
    assert isinstance(report, FailRequest)
    assert report.fault == "preempted"
    assert not worker.spooled


def test_a_worker_that_the_server_has_forgotten_registers_again(server, worker):
    assert eventually(lambda: server.registrations)
    server.forgotten_workers.add("worker-1")
    assert eventually(lambda: len(server.registrations) == 2)
    server.grants.append(make_grant())
    server.report()


def test_a_worker_waits_for_its_server(server, url, tmp_path):
    server.is_down = True
    with RunningWorker(url, tmp_path):
        server.is_down = False
        assert eventually(lambda: server.registrations)


def test_a_worker_with_a_wrong_token_ends_and_says_why(url, tmp_path):
    with RunningWorker(url, tmp_path, token="archfront_wrong_" + "y" * 43) as worker:
        assert worker.ended()
    assert isinstance(worker.error, Unauthenticated)


def test_a_token_that_is_revoked_ends_the_worker_but_keeps_its_result(server, url, tmp_path):
    server.grants.append(make_grant())
    server.refusals["complete"] = [Unauthenticated()] * 1_000
    server.refusals["leases"] = []
    with RunningWorker(url, tmp_path) as worker:
        assert eventually(lambda: worker.spooled)
        server.refusals["leases"] = [Unauthenticated()] * 1_000
    assert worker.spooled


@pytest.fixture
def systemd(tmp_path):
    opened = NotifySocket.in_folder(tmp_path)
    yield opened
    opened.close()


def test_systemd_hears_that_a_worker_is_ready_once_it_is_registered(server, url, tmp_path, systemd):
    server.is_down = True
    with RunningWorker(url, tmp_path, watchdog=Watchdog(systemd.address)) as worker:
        assert not eventually(systemd.new, 1.0)
        server.is_down = False
        assert eventually(lambda: systemd.has_received("READY=1"))
        assert systemd.received[0] == "READY=1"
        worker.daemon.drain()
        assert worker.ended()
    assert systemd.has_received("STOPPING=1")


@pytest.mark.parametrize("occupied", ["idle", "at work"])
def test_a_worker_feeds_its_watchdog_only_while_it_hears_its_server(
    server, url, tmp_path, systemd, occupied, nothing_left_running
):
    with RunningWorker(url, tmp_path, watchdog=Watchdog(systemd.address)) as worker:
        if occupied == "at work":
            server.grants.append(make_grant(SLOW))
            assert eventually(lambda: len(server.curve()) > 2)
            systemd.new()  # what the claim before has fed
        assert eventually(lambda: systemd.new() == ["WATCHDOG=1"])
        server.is_down = True
        time.sleep(2 * worker.settings.claim_wait_s)  # what was under way has been answered
        systemd.new()
        assert not eventually(systemd.new, 1.0)
        server.is_down = False
        assert eventually(lambda: "WATCHDOG=1" in systemd.new())
