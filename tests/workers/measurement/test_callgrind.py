"""Without Valgrind, its header or a compiler it is told what to install."""

import shutil
from pathlib import Path

import pytest

from workers.measurement import callgrind
from workers.measurement.callgrind import CallgrindMissing, require_callgrind

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")


@pytest.fixture
def valgrind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that tells its version, first on the path."""
    path = tmp_path / "bin" / "valgrind"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho valgrind-3.99.0\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")
    return path


def test_its_version_is_told(valgrind: Path) -> None:
    assert callgrind.valgrind_version() == "3.99.0"


def test_without_valgrind_it_is_to_be_installed(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CallgrindMissing, match="apt-get install valgrind"):
        require_callgrind()


def test_a_valgrind_that_does_not_run_is_none(valgrind: Path) -> None:
    valgrind.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(CallgrindMissing, match="exit status 1"):
        require_callgrind()


def test_without_a_compiler_it_is_to_be_installed(valgrind: Path, monkeypatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(CallgrindMissing, match=r"no no-such-compiler .*apt-get install gcc"):
        require_callgrind()


@needs_compiler
def test_without_its_header_the_compiler_says_so(valgrind: Path, tmp_path, monkeypatch) -> None:
    source = tmp_path / "requests.c"
    source.write_text("#include <valgrind/no_such_header.h>\n")
    monkeypatch.setattr(callgrind, "_SOURCE", source)
    with pytest.raises(CallgrindMissing, match=r"cc says: .*no_such_header\.h"):
        require_callgrind()
