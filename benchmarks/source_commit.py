"""Which source a figure was measured on."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_RESULTS = (":(exclude)*.jsonl", ":(exclude)*.md")


def commit_of(folder: str) -> str:
    """The last commit that touched the source in `folder` of the repository; `` outside git.

    A `+` follows where that is changed. Results and pages, which a benchmark writes beside its
    source, are no part of it.
    """
    source = ("--", folder, *_RESULTS)
    commit = _git("log", "-1", "--format=%h", "--abbrev=10", *source)
    return commit + ("+" if _git("status", "--porcelain", *source) else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
