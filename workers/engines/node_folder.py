"""A folder for one stage on a machine that the worker is not on; what killed stages left goes."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PARENT = "archfront-stages"


@contextmanager
def node_folder() -> Iterator[Path]:
    """An empty folder of the caller's own, gone afterwards.

    Who is killed leaves it behind: the next one on that machine removes it, by its lock, which
    the kernel gives back with the process.
    """
    parent = Path(tempfile.gettempdir()) / f"{_PARENT}-{os.getuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    if parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{parent} is another user's; remove it")
    _remove_abandoned(parent)
    # One name for folder and lock; the lock comes first and goes last.
    descriptor, lock_path = tempfile.mkstemp(suffix=".lock", dir=parent)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    folder = Path(lock_path).with_suffix("")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(lock_path).unlink(missing_ok=True)
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for lock_path in parent.glob("*.lock"):
        with contextlib.suppress(OSError), lock_path.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = lock_path.with_suffix("")
            # A lock without a folder may be one that was made this moment: it is let be.
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)
                lock_path.unlink(missing_ok=True)
