import os
import signal
import sys
import time

import pytest

from tests.workers.waiting import eventually, is_alive
from workers.crash import crash
from workers.trial_process import TrialProcess, ending_signal, stage_environment

pytestmark = pytest.mark.usefixtures("nothing_left_running")


def start(tmp_path, script: str) -> TrialProcess:
    return TrialProcess([sys.executable, "-c", script], tmp_path / "log.txt", os.environ)


def test_output_and_errors_go_into_the_log(tmp_path):
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    with start(tmp_path, script) as process:
        assert process.wait(20) == 3
    assert sorted((tmp_path / "log.txt").read_text().split()) == ["err", "out"]


def test_waiting_gives_up_after_the_timeout(tmp_path):
    with start(tmp_path, "import time; time.sleep(60)") as process:
        began = time.monotonic()
        assert process.wait(0.1) is None
        assert time.monotonic() - began < 5


def test_leaving_ends_what_the_process_has_started_too(tmp_path):
    pid_file = tmp_path / "pid"
    script = (
        "import subprocess, pathlib, time; child = subprocess.Popen(['sleep', '300']);"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid)); time.sleep(300)"
    )
    with start(tmp_path, script) as process:
        assert eventually(lambda: pid_file.exists() and pid_file.read_text())
    assert not is_alive(process.pid)
    assert eventually(lambda: not is_alive(int(pid_file.read_text())), 2)


def test_what_outlives_the_process_is_ended_with_its_group(tmp_path):
    script = "import subprocess; print(subprocess.Popen(['sleep', '300']).pid)"
    with start(tmp_path, script) as process:
        assert process.wait(20) == 0
        child = int((tmp_path / "log.txt").read_text())
        assert is_alive(child)
    assert eventually(lambda: not is_alive(child), 2)


def test_killing_twice_is_harmless(tmp_path):
    with start(tmp_path, "import time; time.sleep(60)") as process:
        process.kill()
        process.kill()
        assert process.wait(1) == -signal.SIGKILL


def test_the_stage_sees_its_threads_and_nothing_of_the_workers_own(tmp_path):
    workers_own = dict.fromkeys(
        ("ARCHFRONT_TOKEN", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"), "secret"
    )
    environment = stage_environment({**workers_own, "HOME": "/home/a"}, threads=3)
    assert "secret" not in environment.values()
    assert environment["HOME"] == "/home/a"
    assert environment["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("exit_code", "expected"),
    [
        (-9, signal.SIGKILL),
        (128 + 9, signal.SIGKILL),
        (128 + 11, signal.SIGSEGV),
        (1, None),
        (0, None),
        (255, None),
    ],
)
def test_the_signal_behind_an_exit_code(exit_code, expected):
    assert ending_signal(exit_code) == expected


def test_a_crash_is_the_machines_fault_and_shows_the_end_of_the_log(tmp_path):
    log = tmp_path / "log.txt"
    log.write_bytes(b"\x00" + b"early " * 10_000 + b"Fatal: late")
    failed = crash(128 + signal.SIGKILL, log)
    assert failed.fault == "machine"
    assert "SIGKILL" in failed.message
    assert "out of memory" in failed.message
    assert failed.detail.endswith("Fatal: late")
    assert len(failed.detail) <= 16_000
    assert "exit code 7" in crash(7, tmp_path / "no-log.txt").message


def test_a_stage_sees_the_gpu_of_its_slot_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    command = [sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
    for gpu, seen in (("MIG-4f2c", "MIG-4f2c"), (None, "0,1")):
        log = tmp_path / f"{gpu}.log"
        with TrialProcess(command, log, stage_environment(os.environ, 1, gpu)) as process:
            assert process.wait(20) == 0
        assert log.read_text().strip() == seen
