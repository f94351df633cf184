"""I7: the same idempotency key gives the same status, body and rows, on both databases."""

import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from search_spaces.registry import Registry
from service.api.app import create_app
from service.schemas.tokens import TokenRequest
from service.settings import Settings
from service.storage.database import Database
from service.use_cases.tokens import create_token
from tests.service.served_api import ALL_SCOPES, EXTERNAL_SPEC


@pytest.fixture
def either(settings: Settings, database: Database, registry: Registry) -> Any:
    """An API over SQLite, then over PostgreSQL."""
    with database.write() as connection:
        secret = create_token(connection, TokenRequest(name="test", scopes=ALL_SCOPES)).secret
    app = create_app(settings, database, registry)
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}) as client:
        yield client


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def test_a_repeated_request_has_one_effect(either: TestClient) -> None:
    first = either.post("/v1/experiments", json=EXTERNAL_SPEC, headers=keyed("k1"))
    again = either.post("/v1/experiments", json=EXTERNAL_SPEC, headers=keyed("k1"))
    assert first.status_code == 201
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert len(either.get("/v1/experiments").json()["items"]) == 1
    for _ in range(3):
        attached = either.post(
            "/v1/experiments/own-loop/trials",
            json={"parameters": {"x": 0.5, "kind": "plain"}},
            headers=keyed("k2"),
        )
        assert attached.json()["number"] == 0


def test_another_body_or_address_under_the_same_key_is_refused(either: TestClient) -> None:
    either.post("/v1/experiments", json=EXTERNAL_SPEC, headers=keyed("k1")).raise_for_status()
    for path, body in (
        ("/v1/experiments", {**EXTERNAL_SPEC, "name": "other"}),
        ("/v1/experiments/own-loop/budget", {"trials": 9}),
    ):
        answer = either.post(path, json=body, headers=keyed("k1"))
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:archfront:problem:idempotency-key-reused"
    assert len(either.get("/v1/experiments").json()["items"]) == 1


def test_a_refusal_is_not_kept(either: TestClient) -> None:
    missing = either.post("/v1/experiments/own-loop/pause", headers=keyed("k1"))
    assert missing.status_code == 404
    either.post("/v1/experiments", json=EXTERNAL_SPEC).raise_for_status()
    assert either.post("/v1/experiments/own-loop/pause", headers=keyed("k1")).status_code == 200


def test_racing_requests_with_one_key_have_one_effect(either: TestClient) -> None:
    answers: list[Any] = []

    def send() -> None:
        answers.append(either.post("/v1/experiments", json=EXTERNAL_SPEC, headers=keyed("race")))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(either.get("/v1/experiments").json()["items"]) == 1


def test_racing_claims_with_one_key_get_one_lease(either: TestClient) -> None:
    """Even after a first try found nothing and left the key without a reply."""
    spec = {
        "name": "raced",
        "search_space": "toy",
        "objectives": [{"metric": "error", "goal": "minimize"}],
        "budget": 9,
        "optimizer": {"fallback_after_s": 60},  # nothing is ready at first
    }
    either.post("/v1/experiments", json=spec).raise_for_status()
    worker = either.post(
        "/v1/workers",
        json={
            "name": "w",
            "device": "d",
            "slots": 9,
            "search_spaces": [{"name": "toy", "version": 1}],
        },
    ).json()
    body = {"worker_id": worker["worker_id"]}
    assert either.post("/v1/leases", json=body, headers=keyed("c")).status_code == 204
    for x in range(8):
        arm = {"parameters": {"x": x / 8, "layers": 2}}
        either.post("/v1/experiments/raced/trials", json=arm).raise_for_status()
    answers: list[Any] = []

    def send() -> None:
        answers.append(either.post("/v1/leases", json=body, headers=keyed("c")))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["lease_id"] for answer in answers}) == 1
    assert either.get("/v1/workers").json()["items"][0]["busy_slots"] == 1


def test_a_token_is_made_once_and_its_secret_is_not_kept(
    either: TestClient, database: Database
) -> None:
    body = {"name": "ci", "scopes": ["read"]}
    first = either.post("/v1/tokens", json=body, headers=keyed("t"))
    assert first.status_code == 201
    secret = first.json()["secret"]
    again = either.post("/v1/tokens", json=body, headers=keyed("t"))
    assert again.status_code == 409
    assert "revoke" in again.json()["detail"]
    assert len(either.get("/v1/tokens").json()["items"]) == 2
    with database.read() as connection:
        kept = connection.execute(text("SELECT body FROM idempotency_keys")).scalars().all()
    assert kept
    assert all(secret not in body for body in kept)


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
def test_a_key_that_is_none(either: TestClient, key: str) -> None:
    answer = either.post("/v1/experiments", json=EXTERNAL_SPEC, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].lower() == "header.idempotency-key"


def test_keys_of_two_tokens_do_not_meet(either: TestClient) -> None:
    other = either.post("/v1/tokens", json={"name": "o", "scopes": ["read", "write"]}).json()
    headers = keyed("same") | {"Authorization": f"Bearer {other['secret']}"}
    either.post("/v1/experiments", json=EXTERNAL_SPEC, headers=keyed("same")).raise_for_status()
    answer = either.post(
        "/v1/experiments", json={**EXTERNAL_SPEC, "name": "second"}, headers=headers
    )
    assert answer.status_code == 201
