"""Log and curve of a stage that runs elsewhere, grown here by what it tells."""

import logging
from pathlib import Path

from workers.engines.ray_mailbox import Told
from workers.work_folder import WorkFolder

_logger = logging.getLogger(__name__)


class ToldFiles:
    """The files only grow: where a stage was started anew, the new run's follow the old one's."""

    def __init__(self, folder: WorkFolder) -> None:
        self._folder = folder
        self._run = ""
        self._last = ("", 0)
        self._log_bytes = 0
        self._curve_bytes = 0
        self.runs = 0

    @property
    def position(self) -> tuple[str, int, int]:
        """Of the present run: its name, and how many bytes of its log and its curve are here."""
        return self._run, self._log_bytes, self._curve_bytes

    def add(self, told: Told) -> bool:
        """Takes what is new; whether it is a word not heard before."""
        is_new = self._last != (told.run, told.number)
        self._last = told.run, told.number
        if told.run != self._run:
            self._begin(told)
        self._log_bytes += _append(self._folder.log, self._log_bytes - told.log_from, told.log)
        self._curve_bytes += _append(
            self._folder.curve, self._curve_bytes - told.curve_from, told.curve
        )
        return is_new

    def _begin(self, told: Told) -> None:
        # One that died soon may have told of itself while nobody asked.
        self.runs = max(self.runs + 1, told.starts)
        self._run, self._log_bytes, self._curve_bytes = told.run, 0, 0
        if self.runs > 1:
            _logger.warning("Ray started a stage anew, on %s.", told.node)
            # What the dead machine left unfinished of a line is no point of the curve.
            _append(self._folder.curve, 0, b"\n")
            note = f"\n[the machine died; Ray started the stage anew on {told.node}]\n"
            _append(self._folder.log, 0, note.encode())


def _append(path: Path, known_bytes: int, content: bytes) -> int:
    """Adds `content` without its first `known_bytes`, if nothing lies between; gives how many."""
    new = content[known_bytes:] if known_bytes >= 0 else b""
    if new:
        with path.open("ab") as file:
            file.write(new)
    return len(new)
