"""The converter's environment is found where the settings say, and missed with its remedy."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.runtimes.errors import RuntimeMissing
from workers.runtimes.litert_environment.converter import (
    converter_python,
    converter_version,
    python_in,
    usual_folder,
)

Script = Callable[[Path, str], Path]


@pytest.fixture
def script() -> Script:
    def write(path: Path, body: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


def test_it_is_in_the_workers_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    monkeypatch.delenv("ARCHFRONT_WORKER_LITERT_PYTHON", raising=False)
    monkeypatch.setenv("ARCHFRONT_WORKER_CACHE_FOLDER", str(tmp_path))
    assert usual_folder().parent == tmp_path
    python = script(python_in(usual_folder()), "echo 0.10.0")
    assert converter_python() == python
    assert converter_version(python) == "0.10.0"


def test_the_settings_may_name_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    python = script(tmp_path / "python", "echo 0.10.0")
    monkeypatch.setenv("ARCHFRONT_WORKER_LITERT_PYTHON", str(python))
    assert converter_python() == python


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (None, "there is no such file"),
        ("echo 'PackageNotFoundError: litert-torch' >&2; exit 1", "PackageNotFoundError: litert"),
    ],
)
def test_where_it_is_not_the_remedy_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    body: str | None,
    told: str,
) -> None:
    python = tmp_path / "python"
    if body is not None:
        script(python, body)
    monkeypatch.setenv("ARCHFRONT_WORKER_LITERT_PYTHON", str(python))
    with pytest.raises(
        RuntimeMissing,
        match=f"{told}.*python -m workers.runtimes.litert_environment, .*WORKER_LITERT_PYTHON",
    ):
        converter_python()
