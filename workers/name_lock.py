"""Takes a worker's name on this machine, so that no two workers share a spool."""

import fcntl
from itertools import count
from pathlib import Path
from typing import IO

from workers.errors import WorkerNameTaken
from workers.settings import default_name


class NameLock:
    """Holds a name, and the data folder of that name, until closed or the process ends."""

    def __init__(self, data_folder: Path, name: str) -> None:
        self.name = name
        self.folder = data_folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = (self.folder / "lock").open("wb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise WorkerNameTaken(
                f"A worker called {name!r} already runs on this machine (its folder is "
                f"{self.folder}).",
                field="name",
                remedy="Give this one another --name, or stop that one.",
            ) from None

    def close(self) -> None:
        """Gives the name back."""
        self._file.close()


def take_name(data_folder: Path, name: str | None) -> NameLock:
    """The lock on `name`; without one, on the first free name after the host's.

    Raises: WorkerNameTaken if the name asked for is held.
    """
    if name is not None:
        return NameLock(data_folder, name)
    base = default_name()
    for number in count(1):
        try:
            return NameLock(data_folder, base if number == 1 else f"{base}-{number}")
        except WorkerNameTaken:
            continue
    raise AssertionError("count() does not end")
