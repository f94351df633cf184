"""Keeps finished results on disk until the server has acknowledged them.

A result is one folder: `report.json` and the files it names. It appears under its final name
by one rename, when all of it is on the disk; so there is never half a result.
"""

import hashlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from search_spaces.values import Value
from workers.durable_file import sync_file, sync_folder, write_durably
from workers.report import Report

_logger = logging.getLogger(__name__)

_REPORT_FILE = "report.json"


class _Spooled(Value):
    report: Annotated[Report, Field(discriminator="kind")]


class SpooledReport:
    """A report on disk."""

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder = folder
        self.report = report

    def file(self, sha256: str) -> Path:
        """The file with this SHA-256."""
        return self.folder / sha256


class Spool:
    """The finished results that the server has not acknowledged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unreadable: set[Path] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(".*"):
            shutil.rmtree(unfinished)

    def __iter__(self) -> Iterator[SpooledReport]:
        for folder in sorted(self._folder.iterdir()):
            spooled = None if folder.name.startswith(".") else self._read(folder)
            if spooled is not None:
                yield spooled

    def find(self, lease_id: str) -> SpooledReport | None:
        """The report that waits on this lease, if one does."""
        return self._read(self._folder / _folder_name(lease_id))

    def _read(self, folder: Path) -> SpooledReport | None:
        try:
            text = (folder / _REPORT_FILE).read_bytes()
            return SpooledReport(folder, _Spooled.model_validate_json(text).report)
        except FileNotFoundError:
            return None  # delivered meanwhile
        except (OSError, ValidationError) as error:
            if folder not in self._unreadable:  # said once, though it is looked at every time
                self._unreadable.add(folder)
                _logger.warning("Cannot read the spooled result %s: %s", folder, error)
            return None

    def put(self, report: Report, files: Mapping[str, Path]) -> SpooledReport:
        """Keeps `report` with its `files` (by SHA-256, moved here); it is on disk afterwards."""
        name = _folder_name(report.lease_id)
        unfinished, final = self._folder / f".{name}", self._folder / name
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        for sha256, path in files.items():
            shutil.move(path, unfinished / sha256)
            sync_file(unfinished / sha256)
        write_durably(unfinished / _REPORT_FILE, _Spooled(report=report).model_dump_json().encode())
        shutil.rmtree(final, ignore_errors=True)
        unfinished.rename(final)
        sync_folder(self._folder)
        return SpooledReport(final, report)

    def remove(self, spooled: SpooledReport) -> None:
        """Forgets a report that is settled."""
        shutil.rmtree(spooled.folder, ignore_errors=True)
        sync_folder(self._folder)


def _folder_name(lease_id: str) -> str:
    # The id is the server's: as it stands it may be no file name at all.
    return hashlib.sha256(lease_id.encode()).hexdigest()[:32]
