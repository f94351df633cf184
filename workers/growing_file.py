"""Reads what has been appended to a file since the last look, in pieces that fit the wire."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from service.schemas.leases import (
    MAX_CURVE_POINTS_PER_REQUEST,
    MAX_LOG_CHUNK_BYTES,
    CurvePointReport,
    LogChunk,
)

_MAX_CURVE_BYTES_PER_REQUEST = 256 * 1024
"""Of the curve's own lines; well within what the server takes as one body."""


class GrowingLog:
    """A log in chunks of at most 64 KiB, addressed by the characters before them.

    `chunk` gives the same chunk until `sent` says that it has arrived.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._read_bytes = 0
        self._sent_characters = 0
        self._pending: LogChunk | None = None

    def chunk(self) -> LogChunk | None:
        """The next chunk; None if nothing new was printed, or all that may be sent was."""
        if self._pending is None:
            text = self._read()
            if text:
                self._pending = LogChunk(offset=self._sent_characters, text=text)
        return self._pending

    def sent(self) -> None:
        """The chunk has arrived."""
        if self._pending is not None:
            self._sent_characters += len(self._pending.text)
            self._pending = None

    def give_up(self) -> None:
        """From now on there is nothing more to send."""
        self._pending = None
        self._limit_bytes = 0

    def _read(self) -> str:
        allowed = self._limit_bytes - self._read_bytes
        if allowed <= 0 or not self._path.exists():
            return ""
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            # A replaced byte becomes three; a third of the limit can never grow past it.
            content = file.read(min(allowed, MAX_LOG_CHUNK_BYTES // 3))
        self._read_bytes += len(content)
        text = self._decoder.decode(content).replace("\x00", "\ufffd")
        if content and self._read_bytes >= self._limit_bytes:
            text += f"\n[the worker passes on no more than {self._limit_bytes} bytes of a log]\n"
        return text


class GrowingCurve:
    """A learning curve of one JSON object a line, at most 1,000 points at a time.

    `points` gives the same points until `sent` says that they have arrived.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._unfinished = b""
        self._waiting: list[tuple[CurvePointReport, int]] = []
        self._pending: tuple[CurvePointReport, ...] = ()

    def points(self) -> tuple[CurvePointReport, ...]:
        """The next points, in order."""
        if not self._pending:
            self._read()
            self._pending = tuple(self._next())
        return self._pending

    def _next(self) -> Iterator[CurvePointReport]:
        size_bytes = 0
        for point, line_bytes in self._waiting[:MAX_CURVE_POINTS_PER_REQUEST]:
            size_bytes += line_bytes
            if size_bytes > _MAX_CURVE_BYTES_PER_REQUEST:
                return
            yield point

    def sent(self) -> None:
        """The points have arrived."""
        self._waiting = self._waiting[len(self._pending) :]
        self._pending = ()

    def _read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            content = file.read()
        self._read_bytes += len(content)
        *lines, self._unfinished = (self._unfinished + content).split(b"\n")
        for line in lines:
            point = _point(line)
            if point is not None:
                self._waiting.append((point, len(line)))


def _point(line: bytes) -> CurvePointReport | None:
    # A point that the wire refuses (a metric's name, too many metrics) must not cost the lease;
    # 50 metrics with names of at most 200 characters always fit into one request.
    try:
        return CurvePointReport.model_validate(json.loads(line))
    except (ValueError, ValidationError):
        return None
