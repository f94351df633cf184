import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.domain.errors import ArtifactNotFound, DigestMismatch, InvalidRequest, TooLarge
from service.storage.artifacts import ArtifactStore
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.store_artifact import read_artifact, record_artifact

CONTENT = b"weights of a network" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "s3"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ArtifactStore]:
    if request.param == "local":
        yield ArtifactStore(str(tmp_path / "store"))
        return
    import s3fs  # noqa: PLC0415

    endpoint = request.getfixturevalue("s3_endpoint")
    options = {"key": "key", "secret": "secret", "endpoint_url": endpoint}
    bucket = f"bucket-{tmp_path.name.replace('_', '-').lower()}"[:60].rstrip("-")
    s3fs.S3FileSystem(**options).mkdir(bucket)
    with warnings.catch_warnings():
        # aiobotocore's own deprecations are not ours
        warnings.simplefilter("ignore", DeprecationWarning)
        yield ArtifactStore(f"s3://{bucket}/archfront", **options)


def pieces(content: bytes, size: int = 777) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def test_what_is_put_is_found_under_its_digest(store: ArtifactStore) -> None:
    assert not store.exists(SHA256)
    assert store.put(pieces(CONTENT), SHA256, len(CONTENT)) == (SHA256, len(CONTENT))
    assert store.exists(SHA256)
    assert store.size_bytes(SHA256) == len(CONTENT)
    assert b"".join(store.open(SHA256)) == CONTENT
    # again is harmless
    assert store.put([CONTENT], None, len(CONTENT)) == (SHA256, len(CONTENT))


def test_an_empty_file_is_a_file(store: ArtifactStore) -> None:
    sha256, size = store.put([], None, 0)
    assert (size, b"".join(store.open(sha256))) == (0, b"")


def test_other_bytes_than_announced_are_not_kept(store: ArtifactStore) -> None:
    with pytest.raises(DigestMismatch, match="not 0000"):
        store.put(pieces(CONTENT), "0" * 64, len(CONTENT))
    assert not store.exists("0" * 64)
    assert not store.exists(SHA256)


def test_the_limit_is_counted_and_not_believed(store: ArtifactStore) -> None:
    served = []

    def endless() -> Iterator[bytes]:
        while True:
            served.append(1)
            yield b"x" * 1000

    with pytest.raises(TooLarge, match="limit of 5000 bytes"):
        store.put(endless(), None, 5000)
    assert len(served) == 6


def test_a_broken_upload_leaves_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    def breaks() -> Iterator[bytes]:
        yield CONTENT
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put(breaks(), SHA256, 10**9)
    assert not store.exists(SHA256)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, f"{'0' * 64}\n", "%2e%2e"]
)
def test_nothing_but_a_digest_becomes_a_path(store: ArtifactStore, name: str) -> None:
    for deed in (store.open, store.exists, store.size_bytes):
        with pytest.raises(InvalidRequest, match="64 lower-case hexadecimal"):
            deed(name)
    with pytest.raises(InvalidRequest):
        store.put([b""], name, 10)


def test_a_file_that_is_not_there_is_not_found(store: ArtifactStore) -> None:
    for deed in (store.open, store.size_bytes):
        with pytest.raises(ArtifactNotFound):
            deed(SHA256)


def test_the_bytes_are_synced_before_the_name_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(f"file://{tmp_path}/store")
    order = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        order.append("directory" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    def noted_replace(self: Path, target: str) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    store.put([CONTENT], SHA256, len(CONTENT))
    assert order == ["file", "rename", "directory", "directory"]
    assert (tmp_path / "store" / SHA256[:2] / SHA256).read_bytes() == CONTENT
    assert list((tmp_path / "store" / "incoming").iterdir()) == []


def test_rows_and_files_are_compared(database: Database, tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "store"))
    store.put([CONTENT], SHA256, len(CONTENT))
    with database.write() as connection:
        first = record_artifact(connection, SHA256, len(CONTENT))
        assert record_artifact(connection, SHA256, len(CONTENT)) == first
    with database.read() as connection:
        assert read_artifact(connection, SHA256).size_bytes == len(CONTENT)
        assert check_invariants(connection, store) == []
        (tmp_path / "store" / SHA256[:2] / SHA256).write_bytes(b"tampered")
        assert "differs" in check_invariants(connection, store)[0]
        (tmp_path / "store" / SHA256[:2] / SHA256).unlink()
        assert "not in the store" in check_invariants(connection, store)[0]
        with pytest.raises(ArtifactNotFound):
            read_artifact(connection, "f" * 64)
