"""Which source a figure was measured on."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def commit_of(folder: str) -> str:
    """The last commit that touched `folder` of the repository; `` outside git.

    A `+` follows where the folder is changed.
    """
    commit = _git("log", "-1", "--format=%h", "--abbrev=10", "--", folder)
    return commit + ("+" if _git("status", "--porcelain", "--", folder) else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
