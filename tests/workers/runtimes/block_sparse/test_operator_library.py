"""The operation is compiled once for a processor, whole or not at all, and a failure is told."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workers.runtimes.block_sparse import operator_library as module
from workers.runtimes.block_sparse.operator_library import operator_library, operator_version
from workers.runtimes.errors import RuntimeMissing


@pytest.fixture
def fresh_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is found out anew, not remembered from another test, nor by a later one."""
    monkeypatch.setattr(module, "operator_version", operator_version.__wrapped__)


def compiler_that(folder: Path, script: str) -> Path:
    path = folder / "c++"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_it_is_compiled_once_by_all_that_come_together(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(operator_library, [tmp_path, tmp_path])
    assert first == second
    assert list((tmp_path / "block_sparse").iterdir()) == [first]
    made = first.stat().st_mtime_ns
    assert operator_library(tmp_path).stat().st_mtime_ns == made


@pytest.mark.usefixtures("fresh_version")
def test_another_processor_compiler_or_source_is_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    versions = {module.operator_version()}
    assert module.operator_version() in versions
    monkeypatch.setattr(module, "_FLAGS", ("-std=c++17", "-O3", "-shared", "-fPIC"))
    versions.add(module.operator_version())
    source = tmp_path / "block_sparse.h"
    source.write_text("another")
    monkeypatch.setattr(module, "_SOURCES", (source,))
    versions.add(module.operator_version())
    monkeypatch.setenv("CXX", str(compiler_that(tmp_path, "echo '#define X'")))
    versions.add(module.operator_version())
    assert len(versions) == 4


@pytest.mark.usefixtures("fresh_version")
def test_a_compiler_that_fails_is_the_machines_fault_and_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = 'case "$*" in *-dM*) ;; *) echo "no space left" >&2; exit 1;; esac'
    monkeypatch.setenv("CXX", str(compiler_that(tmp_path, script)))
    with pytest.raises(RuntimeMissing, match=r"says: no space left.*apt-get install g\+\+"):
        operator_library(tmp_path)
    assert not list((tmp_path / "block_sparse").iterdir())


def test_the_default_folder_is_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHFRONT_WORKER_CACHE_FOLDER", str(tmp_path))
    assert operator_library().parent == tmp_path / "block_sparse"
