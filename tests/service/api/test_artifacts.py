"""Artifacts over HTTP: raw bytes under their SHA-256, whole or not at all."""

import hashlib
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings

DATA = bytes(range(256)) * 9_000  # beyond the limit of JSON bodies
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"artifact_limit_bytes": 3_000_000})


def stored_files(settings: Settings) -> list[Path]:
    return [path for path in Path(settings.artifacts).rglob("*") if path.is_file()]


def test_a_file_comes_back_as_it_was(api: TestClient, settings: Settings) -> None:
    for _ in range(2):
        put = api.put(f"/v1/artifacts/{SHA256}", content=DATA)
        assert put.status_code == 201
        assert put.json()["size_bytes"] == len(DATA)
    got = api.get(f"/v1/artifacts/{SHA256}")
    assert got.content == DATA
    assert got.headers["content-length"] == str(len(DATA))
    assert got.headers["content-type"] == "application/octet-stream"
    assert len(stored_files(settings)) == 1


def test_other_bytes_are_refused_and_not_kept(api: TestClient, settings: Settings) -> None:
    put = api.put(f"/v1/artifacts/{SHA256}", content=DATA[:-1])
    assert put.status_code == 422
    assert put.json()["type"] == "urn:archfront:problem:digest-mismatch"
    assert api.get(f"/v1/artifacts/{SHA256}").status_code == 404
    assert stored_files(settings) == []


def test_too_many_bytes_are_refused(api: TestClient, settings: Settings) -> None:
    large = b"\0" * 3_000_001
    sha256 = hashlib.sha256(large).hexdigest()
    assert api.put(f"/v1/artifacts/{sha256}", content=large).status_code == 413
    pieces = (large[i : i + 65_536] for i in range(0, len(large), 65_536))
    assert api.put(f"/v1/artifacts/{sha256}", content=pieces).status_code == 413
    assert stored_files(settings) == []


@pytest.mark.parametrize("name", ["x", "A" * 64, "../../etc/passwd", "0" * 65])
def test_a_name_that_is_no_digest(api: TestClient, name: str) -> None:
    assert api.put(f"/v1/artifacts/{name}", content=b"x").status_code in (404, 422)


def test_no_bytes_at_all(api: TestClient) -> None:
    sha256 = hashlib.sha256(b"").hexdigest()
    assert api.put(f"/v1/artifacts/{sha256}", content=b"").status_code == 201
    assert api.get(f"/v1/artifacts/{sha256}").content == b""
