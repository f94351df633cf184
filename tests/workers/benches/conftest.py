"""One of each kind of bench, all of them this machine; what runs there is the real thing."""

import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.workers.devices.conftest import board, phone
from workers.benches.bench import Bench
from workers.benches.carried_program import carried_program
from workers.benches.in_process import InProcessBench
from workers.benches.own_runner import own_runner
from workers.benches.remote_python import RemotePython
from workers.devices.adb import AdbDevice
from workers.devices.devices_file import Runner
from workers.devices.probe import probe
from workers.devices.ssh import SshDevice
from workers.runtimes.registry import find_runtime

__all__ = ["bare_python", "bench", "board", "phone", "runner"]

KINDS = ("in_process", "ssh", "adb")


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with numpy and ONNX Runtime and not one package more, as a board would have."""
    folder = tmp_path_factory.mktemp("bare")
    packages = folder / "packages"
    packages.mkdir()
    for name in ("numpy", "onnxruntime"):
        installed = distribution(name)
        base = Path(str(installed.locate_file("")))
        tops = {file.parts[0] for file in installed.files or () if file.parts[0] != ".."}
        for top in tops:
            (packages / top).symlink_to(base / top)
    command = folder / "python3"
    path = f"{packages}${{PYTHONPATH:+:$PYTHONPATH}}"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {sys.executable} -S "$@"\n')
    command.chmod(0o755)
    return str(command)


@pytest.fixture
def runner(bare_python: str, tmp_path: Path) -> Runner:
    """A runtime's own runner: a stand-in that takes ExecuTorch's options and says its words.

    It runs ONNX networks, for ExecuTorch's wheel brings no runner.
    """
    binary = tmp_path / "onnx_runner"
    source = Path(__file__).with_name("onnx_runner.py").read_text()
    binary.write_text(f"#!{bare_python}\n{source}")
    return Runner(
        runtime="onnxruntime",
        version=find_runtime("onnxruntime").version(),
        binary=binary,
        command=(
            "{runner} --model_path={network} --inputs={inputs} --output_file={outputs} "
            "--num_executions={runs} --cpu_threads={threads}"
        ),
        pattern=r"executed successfully \d+ time\(s\) in (?P<ms>[\d.]+) ms",
    )


@pytest.fixture(params=KINDS)
def bench(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bare_python: str,
) -> Iterator[Bench]:
    """Each of them in turn, for ONNX Runtime."""
    runtime = find_runtime("onnxruntime")
    work_folder = tmp_path / "work"
    work_folder.mkdir()
    if request.param == "in_process":
        yield InProcessBench(runtime, "this-box", work_folder)
        return
    if request.param == "adb":
        serial, options = request.getfixturevalue("phone")
        runner = request.getfixturevalue("runner")
        monkeypatch.setattr("workers.benches.own_runner._CALIBRATING_RUNS", 4)
        telephone = AdbDevice(serial, options=options, scratch_folder=str(tmp_path))
        probed = probe(telephone, None)
        with own_runner(telephone, probed, runner, None, work_folder) as running:
            yield running
        assert not list(tmp_path.glob("archfront-*"))
        return
    server = request.getfixturevalue("board")
    device = SshDevice(server.host, options=server.options, scratch_folder=str(tmp_path))
    python = RemotePython(bare_python)
    probed = probe(device, None)
    with carried_program(device, probed, "onnxruntime", python, work_folder) as carried:
        yield carried
    assert not list(tmp_path.glob("archfront-*"))
    device.close()
