import subprocess
from pathlib import Path

import pytest

from benchmarks import source_commit
from benchmarks.source_commit import commit_of


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(source_commit, "ROOT", tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")
    (tmp_path / "bench").mkdir()
    git(tmp_path, "init")
    return tmp_path


def git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def write(repository: Path, name: str) -> str:
    """Adds a line to the file and commits it; gives the commit."""
    with (repository / "bench" / name).open("a") as file:
        file.write("a line\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", name)
    return git(repository, "rev-parse", "--short=10", "HEAD")


def test_results_and_pages_are_no_source(repository: Path) -> None:
    source = write(repository, "run.py")
    write(repository, "results.jsonl")
    write(repository, "README.md")
    assert commit_of("bench") == source
    (repository / "bench" / "more.jsonl").write_text("one\n")
    assert commit_of("bench") == source


def test_what_is_not_committed_is_told(repository: Path) -> None:
    source = write(repository, "run.py")
    (repository / "bench" / "another.py").write_text("pass\n")
    assert commit_of("bench") == source + "+"


def test_elsewhere_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_commit, "ROOT", tmp_path)
    assert commit_of("bench") == ""
