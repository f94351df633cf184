"""Keeps a network of several files as one: an uncompressed zip archive of them."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class Damaged(Exception):
    """The file is no whole archive."""


def pack(path: Path, folder: Path, names: Sequence[str]) -> None:
    """Moves the files called `names` out of `folder` into a new archive at `path`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            archive.write(folder / name, name)
            (folder / name).unlink()


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A folder with the archive's files, gone afterwards; what is mapped into memory stays there.

    Raises: Damaged; OSError if `path` cannot be read.
    """
    folder = Path(tempfile.mkdtemp(prefix="archfront-network-"))
    try:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except zipfile.BadZipFile as error:
            raise Damaged(str(error)) from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
