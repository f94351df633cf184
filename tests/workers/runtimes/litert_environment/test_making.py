"""The converter's environment is made from pinned versions, torch's first."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workers.runtimes.litert_environment import __main__ as making

ROOT = Path(__file__).parents[4]


def pins(path: Path) -> dict[str, str]:
    lines = (line for line in path.read_text().splitlines() if not line.startswith("#"))
    named = dict(line.split("==") for line in lines)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in named.items()}


def test_torch_comes_first_and_every_version_is_pinned(tmp_path: Path) -> None:
    make, torch, rest = making.commands(tmp_path / "made")
    assert make == [sys.executable, "-m", "venv", str(tmp_path / "made")]
    assert (torch[-1], rest[-1]) == ("torch", "litert-torch")
    assert torch[0] == rest[0] == str(tmp_path / "made" / "bin" / "python")
    assert torch[-3:-1] == rest[-3:-1] == ["--constraint", str(making.CONSTRAINTS)]
    assert pins(making.CONSTRAINTS)["litert-torch"] == "0.10.0"


def test_programs_and_networks_are_of_the_same_versions_as_here() -> None:
    """A torch program is read by the torch that wrote it; the converter's own runtime is ours."""
    here, there = pins(ROOT / "constraints.txt"), pins(making.CONSTRAINTS)
    for package in ("torch", "ai-edge-litert", "numpy"):
        assert here[package] == there[package], package


def test_the_workers_own_pins_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[dict[str, str]] = []

    def run(command: list[str], *, check: bool, env: dict[str, str]) -> Any:
        assert check
        ran.append(env)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("PIP_CONSTRAINT", "constraints.txt")
    monkeypatch.setenv("PYTHONPATH", "here")
    monkeypatch.setattr(making.subprocess, "run", run)
    monkeypatch.setattr(making, "converter_version", lambda _: "0.10.0")
    making.main([str(tmp_path)])
    assert len(ran) == 3
    for environment in ran:
        assert environment.keys() == os.environ.keys() - {"PIP_CONSTRAINT", "PYTHONPATH"}
    told = capsys.readouterr().out
    assert f"litert-torch 0.10.0 is in {tmp_path}" in told
    assert f"ARCHFRONT_WORKER_LITERT_PYTHON={tmp_path}/bin/python" in told
