import os

import psutil
import pytest

from workers.resources import machine_resources


@pytest.fixture
def driver_tool(tmp_path, monkeypatch):
    """Puts a stand-in for the driver's tool where it is found first."""

    def put(script: str) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return put


def test_cores_and_memory_are_those_of_the_machine(driver_tool, monkeypatch):
    driver_tool("exit 9")
    monkeypatch.setattr("workers.resources.granted_memory_bytes", lambda: None)
    monkeypatch.setattr("workers.resources.granted_cores", lambda: None)
    found = machine_resources()
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert found["memory_gib"] == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.1)
    assert found["gpus"] == 0
    assert "gpu_memory_gib" not in found


def test_in_a_container_they_are_those_that_it_may_have(driver_tool, monkeypatch):
    driver_tool("exit 9")
    monkeypatch.setattr("workers.resources.granted_memory_bytes", lambda: 3 * 2**29)
    monkeypatch.setattr("workers.resources.granted_cores", lambda: 0.5)
    assert (machine_resources()["cores"], machine_resources()["memory_gib"]) == (0.5, 1.5)
    monkeypatch.setattr("workers.resources.granted_memory_bytes", lambda: 2**60)
    monkeypatch.setattr("workers.resources.granted_cores", lambda: 1e6)
    assert machine_resources()["cores"] == len(os.sched_getaffinity(0))  # never more than there is
    assert machine_resources()["memory_gib"] < 2**30


def test_of_several_gpus_the_smallest_counts(driver_tool):
    driver_tool("echo 81559; echo 40960")
    found = machine_resources()
    assert (found["gpus"], found["gpu_memory_gib"]) == (2, 40.0)


def test_only_gpus_that_a_stage_would_see_count(driver_tool, monkeypatch):
    driver_tool('case "$*" in *"--id 1"*) echo 40960 ;; *) echo 81559; echo 40960 ;; esac')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert machine_resources()["gpus"] == 1
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert machine_resources()["gpus"] == 0
    assert machine_resources(["0", "1"])["gpus"] == 2  # what the worker was told wins


@pytest.mark.parametrize("said", ["echo nonsense", "echo '[N/A]'", "exit 0"])
def test_a_tool_that_tells_nothing_means_no_gpu(driver_tool, said):
    driver_tool(said)
    assert machine_resources()["gpus"] == 0
