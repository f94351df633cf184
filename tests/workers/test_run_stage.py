"""The stage process and its watcher, with a stand-in for the stage's work."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.workers.waiting import eventually, is_alive

pytestmark = pytest.mark.usefixtures("nothing_left_running")

# What `python -m workers.run_stage` does, with `work` in place of the stage.
STAGE = """
import sys, types
work = types.ModuleType("workers.stage")
exec(sys.argv[3], work.__dict__)
sys.modules["workers.stage"] = work
from workers.run_stage import main
sys.exit(main(sys.argv[1], int(sys.argv[2])))
"""


def stage_command(folder: Path, work: str) -> list[str]:
    body = "def run_order(path):\n" + textwrap.indent(textwrap.dedent(work), "    ")
    return [sys.executable, "-c", STAGE, str(folder), str(os.getpid()), body]


@pytest.mark.parametrize(
    ("work", "exit_code"),
    [
        ("pass", 0),
        ("import sys; sys.exit(5)", 5),
        ("import os; os._exit(6)", 6),
        ("import os; os.kill(os.getpid(), 9)", 128 + 9),
        ("import os; os.kill(os.getpid(), 11)", 128 + 11),
    ],
)
def test_the_watcher_passes_the_end_of_the_work_on(tmp_path, work, exit_code):
    process = subprocess.run(stage_command(tmp_path, work), start_new_session=True, check=False)
    assert process.returncode == exit_code


LEAVES_THINGS = """
    import atexit, pathlib, sys, threading, time, types
    def leave(name):
        pathlib.Path(path, name).touch()
    class Module:
        def __del__(self, leave=leave):
            leave("taken apart")
    sys.modules["heavy"] = types.ModuleType("heavy")
    sys.modules["heavy"].part = Module()
    atexit.register(leave, "at exit")
    threading.Thread(target=lambda: (time.sleep(0.3), leave("thread ended"))).start()
    print("printed last", end="")
"""


@pytest.mark.parametrize(("after", "exit_code"), [("", 0), ("    sys.exit(5)", 5)])
def test_what_was_to_be_done_at_the_end_is_done_and_no_more(tmp_path, after, exit_code):
    command = stage_command(tmp_path, LEAVES_THINGS + after)
    ended = subprocess.run(command, start_new_session=True, check=False, capture_output=True)
    assert (ended.returncode, ended.stdout) == (exit_code, b"printed last")
    left = {path.name for path in tmp_path.iterdir()}
    assert {"at exit", "thread ended"} <= left
    # An error's end is Python's own, which takes the modules apart.
    assert ("taken apart" in left) == (exit_code != 0)


def test_a_process_that_lost_its_parent_before_it_looked_ends_at_once(tmp_path):
    command = stage_command(tmp_path, "import time; time.sleep(300)")
    command[-2] = "1"  # not its parent
    assert subprocess.run(command, start_new_session=True, check=False, timeout=20).returncode == 0


SLEEPERS = """
    import os, pathlib, subprocess, time
    child = subprocess.Popen(["sleep", "300"])
    pathlib.Path(path, "pids.tmp").write_text(f"{os.getppid()} {os.getpid()} {child.pid}")
    pathlib.Path(path, "pids.tmp").rename(pathlib.Path(path, "pids"))
    time.sleep(300)
"""

WORKER = """
import subprocess, sys, os
command = sys.argv[1:]
command[4] = str(os.getpid())
subprocess.Popen(command, start_new_session=True).wait()
"""


@pytest.mark.parametrize("how", ["worker killed", "watcher told", "watcher killed"])
def test_nothing_outlives_the_worker_or_the_watcher(tmp_path, how):
    command = stage_command(tmp_path, SLEEPERS)
    with subprocess.Popen([sys.executable, "-c", WORKER, *command]) as worker:
        assert eventually((tmp_path / "pids").exists)
        watcher, stage, child = map(int, (tmp_path / "pids").read_text().split())
        assert all(map(is_alive, (watcher, stage, child)))
        if how == "worker killed":
            worker.kill()
        else:
            os.kill(watcher, signal.SIGTERM if how == "watcher told" else signal.SIGKILL)
        assert eventually(lambda: not is_alive(watcher) and not is_alive(stage), 1.0)
        if how == "watcher killed":
            # Its group is the worker's to end (`TrialProcess`), once it sees the watcher gone.
            os.killpg(watcher, signal.SIGKILL)
        assert eventually(lambda: not is_alive(child), 1.0)


def test_the_kernel_takes_the_stage_before_the_worker(tmp_path):
    work = "import shutil; shutil.copy('/proc/self/oom_score_adj', path / 'adjustment')"
    subprocess.run(stage_command(tmp_path, work), start_new_session=True, check=True)
    assert (tmp_path / "adjustment").read_text().strip() == "500"


def test_the_watcher_imports_neither_torch_nor_pydantic():
    script = (
        "import sys, workers.run_stage; "
        "print(sorted({'torch', 'pydantic', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_watcher_s_alarm_does_not_outlive_its_watch():
    code = (
        "import os, signal\n"
        "from workers.run_stage import watch\n"
        "child_pid = os.fork() or os._exit(3)\n"
        "print(watch(child_pid, os.getppid()), *signal.getitimer(signal.ITIMER_REAL))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "3 0.0 0.0\n"
