"""`archfront worker` as a process, and what signals make of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import psutil
import pytest

from tests.workers.fake_server import TOKEN
from tests.workers.grants import make_grant
from tests.workers.notify_socket import NotifySocket
from tests.workers.waiting import eventually, processes_with

pytestmark = pytest.mark.usefixtures("stranger_package")

SLOW = {"steps": 100_000, "step_s": 0.02}


@pytest.fixture
def start(url, tmp_path, nothing_left_running):
    @contextmanager
    def started(*arguments):
        command = [sys.executable, "-m", "service.cli", "worker", "--url", url, "--name", "w"]
        command += ["--data", str(tmp_path / "data"), "--cache", str(tmp_path / "cache")]
        environment = os.environ | {"ARCHFRONT_TOKEN": TOKEN, "ARCHFRONT_WORKER_CLAIM_WAIT_S": "1"}
        with (
            (tmp_path / "worker.log").open("ab") as log,
            subprocess.Popen(
                [*command, *arguments], env=environment, stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    return started


def running_stages(mark):
    return [
        process
        for process in processes_with("ARCHFRONT_TEST_RUN", mark)
        if "workers.run_stage" in command_of(process)
    ]


def command_of(process):
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended since it was found
        return []


def test_nothing_outlives_a_worker_that_is_killed(server, start, nothing_left_running):
    server.grants.append(make_grant(SLOW))
    with start() as process:
        assert eventually(server.curve, 60)
        assert len(running_stages(nothing_left_running)) == 2
        process.kill()
        assert eventually(lambda: not running_stages(nothing_left_running), 1.0)


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_a_quick_end_hands_the_work_back(server, start, tmp_path, nothing_left_running, signals):
    server.grants.append(make_grant(SLOW))
    with start("--drain", "1000") as process:
        assert eventually(server.curve, 60)
        for number in signals:
            assert process.poll() is None
            process.send_signal(number)
            assert eventually(lambda: "draining" in server.statuses)
        assert process.wait(20) == 0
    assert server.report().fault == "preempted"
    assert server.statuses[-1] == "stopped"
    assert not running_stages(nothing_left_running)
    assert TOKEN not in (tmp_path / "worker.log").read_text()


def test_a_stage_never_sees_the_workers_token(server, start, nothing_left_running):
    server.grants.append(make_grant(SLOW))
    with start():
        assert eventually(server.curve, 60)
        for process in running_stages(nothing_left_running):
            assert TOKEN not in process.environ().values()


def test_systemd_and_probes_see_the_process_from_its_start_to_its_end(
    server, start, tmp_path, monkeypatch
):
    systemd = NotifySocket.in_folder(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with start("--health-port", str(port)) as process:
        assert eventually(lambda: systemd.has_received("WATCHDOG=1"), 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert json.load(answer)["worker_id"] == "worker-1"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert systemd.has_received("STOPPING=1")
    assert systemd.received[0] == "READY=1"
    systemd.close()


def test_a_second_worker_of_the_same_name_is_refused_in_one_line(server, start, tmp_path):
    with start():
        assert eventually(lambda: server.registrations, 30)
        with start() as second:
            assert second.wait(30) == 1
    log = (tmp_path / "worker.log").read_text()
    assert "A worker called 'w' already runs on this machine" in log
    assert "--name" in log
    assert "Traceback" not in log
