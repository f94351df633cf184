"""The memory of real process trees, counted once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workers.process_memory import held_bytes

MIB = 2**20
SHARED = """
import os, sys, time
held = bytearray(os.urandom(1) * (64 << 20))
if os.fork() == 0:
    time.sleep(60)
print("ready", flush=True)
time.sleep(60)
"""
SPLIT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import os, time\\n"
    "held = bytearray(os.urandom(1) * (48 << 20)); print('ready', flush=True); time.sleep(60)"])
held = bytearray(b"x" * (32 << 20))
time.sleep(60)
"""
MAPPED = """
import mmap, sys, time
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    sum(mapped[::4096])
    print("ready", flush=True)
    time.sleep(60)
"""


@contextmanager
def running(code: str, *arguments: str) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_what_its_children_hold_counts():
    with running(SPLIT) as pid:
        assert held_bytes(pid, 0.0) > 80 * MIB


def test_what_two_processes_share_counts_once():
    with running(SHARED) as pid:
        assert 64 * MIB < held_bytes(pid, 0.0) < 100 * MIB
        assert held_bytes(pid, 1e12) > 128 * MIB  # what each of them sees: it is less than that


def test_pages_of_files_do_not_count(tmp_path):
    (tmp_path / "data").write_bytes(b"x" * (64 * MIB))
    with running(MAPPED, str(tmp_path / "data")) as pid:
        assert held_bytes(pid, 0.0) < 40 * MIB


@pytest.mark.parametrize("enough", [0.0, 1e12])
def test_a_process_that_has_ended_holds_nothing(enough):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert held_bytes(process.pid, enough) == 0
