"""The demo itself, on the real search space: broken off, gone on with, and read to the end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.alone


def started_in(folder: Path) -> list[str]:
    """The command lines of living processes that know of `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            known = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in text for text in known):
            found.append(" ".join(process.cmdline()))
    return found


def start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    arguments = ["demo", "--folder", str(folder), "--trials", "2"]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # What a shell starts by `&` ignores the interrupt, and so would all that it starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with output.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "service.cli", *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"XDG_STATE_HOME": str(output.parent / "state"), "COLUMNS": "200"},
        )


def wait_for(text: str, output: Path, limit_s: float) -> None:
    end_s = time.monotonic() + limit_s
    while text not in output.read_text():
        assert time.monotonic() < end_s, output.read_text()
        time.sleep(0.2)


@pytest.mark.slow
def test_a_demo_broken_off_leaves_nothing_and_goes_on_to_the_front(tmp_path: Path) -> None:
    folder, output = tmp_path / "demo", tmp_path / "output"
    demo = start(folder, output)
    try:
        wait_for("0/2 done, ", output, 120)
        wait_for(" running", output, 120)
        assert started_in(folder)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 130
        assert started_in(folder) == []

        demo = start(folder, output)
        assert demo.wait(280) == 0, output.read_text()
        assert started_in(folder) == []
    finally:
        demo.kill()
    told = output.read_text()
    assert "going on where the last run ended" in told
    assert "2/2 done" in told
    assert "after all " in told  # 2, but for an arm that this machine is too slow for: infeasible
    assert "archfront pick nlu-on-this-machine --latency-ms" in told
    assert (folder / "front.html").stat().st_size > 1_000_000
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "demo", "--fresh", "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "holds other things than a demo" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"
