"""The bytes of artifacts, under their SHA-256, in a local folder or an S3-compatible store."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO, cast

import fsspec  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from service.domain.errors import ArtifactNotFound, DigestMismatch, InvalidRequest, TooLarge

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PIECE_BYTES = 1 << 20


class ArtifactStore:
    """Files by content: the same bytes are stored once, and a stored file never changes.

    url: a local folder (`/data/artifacts`, `file:///data/artifacts`) or whatever fsspec
        knows, such as `s3://bucket/folder`.
    options: passed to fsspec's file system, for instance `endpoint_url`.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._files, root = fsspec.core.url_to_fs(url, **options)
        self._root = str(root).rstrip("/")
        self._is_local = isinstance(self._files, LocalFileSystem)

    def put(
        self, stream: Iterable[bytes], expected_sha256: str | None, limit_bytes: int
    ) -> tuple[str, int]:
        """Stores the bytes; gives (SHA-256, size in bytes).

        They appear under their name all at once and only if they have the expected digest:
        written under a temporary name first, synced, then moved. A store elsewhere gets them
        in one upload from there.
        Raises: TooLarge beyond `limit_bytes`; DigestMismatch; InvalidRequest if the expected
            digest is not one.
        """
        if expected_sha256 is not None:
            _require_digest(expected_sha256)
        with NamedTemporaryFile(dir=self._incoming(), delete=False) as file:
            temporary = Path(file.name)
            try:
                sha256, size = _receive(stream, cast("BinaryIO", file), limit_bytes)
                if expected_sha256 not in (None, sha256):
                    raise DigestMismatch(
                        f"The {size} bytes received have the SHA-256 {sha256}, "
                        f"not {expected_sha256} as announced.",
                        field="sha256",
                        remedy="Send the file again, whole.",
                    )
                self._publish(temporary, sha256)
            finally:
                temporary.unlink(missing_ok=True)
        return sha256, size

    def open(self, sha256: str) -> Iterator[bytes]:
        """The file's bytes, piece by piece. Raises: ArtifactNotFound, at once."""
        try:
            file = self._files.open(self._path(sha256), "rb")
        except FileNotFoundError:
            raise _not_stored(sha256) from None
        return _pieces(file)

    def exists(self, sha256: str) -> bool:
        """Whether the file is stored."""
        return bool(self._files.exists(self._path(sha256)))

    def remove(self, sha256: str) -> None:
        """Deletes the file; harmless if it is gone."""
        try:
            self._files.rm_file(self._path(sha256))
        except FileNotFoundError:
            return

    def size_bytes(self, sha256: str) -> int:
        """The stored file's size. Raises: ArtifactNotFound."""
        try:
            return int(self._files.size(self._path(sha256)))
        except FileNotFoundError:
            raise _not_stored(sha256) from None

    def _path(self, sha256: str) -> str:
        # Nothing but a digest ever becomes part of a path.
        _require_digest(sha256)
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _incoming(self) -> str | None:
        """Where uploads are received: beside their place, so that a move is one rename."""
        if not self._is_local:
            return None
        folder = Path(self._root, "incoming")
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def _publish(self, temporary: Path, sha256: str) -> None:
        path = self._path(sha256)
        if not self._is_local:
            # S3 shows an object whole or not at all.
            if not self._files.exists(path):
                self._files.put_file(str(temporary), path)
            return
        folder = Path(path).parent
        folder.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        # Without it a power cut may forget the new name though it kept the bytes.
        _sync_folder(folder)
        _sync_folder(folder.parent)


def _receive(stream: Iterable[bytes], file: BinaryIO, limit_bytes: int) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    for piece in stream:
        size += len(piece)
        if size > limit_bytes:
            raise TooLarge(
                f"The file is larger than the limit of {limit_bytes} bytes.",
                field="body",
                remedy="Send a smaller file, or raise the server's artifact limit.",
            )
        digest.update(piece)
        file.write(piece)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest(), size


def _require_digest(sha256: str) -> None:
    if not _SHA256.fullmatch(sha256):
        raise InvalidRequest(
            f"{sha256!r} is not a SHA-256.",
            field="sha256",
            remedy="Write 64 lower-case hexadecimal digits.",
        )


def _not_stored(sha256: str) -> ArtifactNotFound:
    return ArtifactNotFound(f"No file with the SHA-256 {sha256} is stored.", field="sha256")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pieces(file: Any) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
