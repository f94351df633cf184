"""A worker's own token over HTTP: it speaks for that worker and no other."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.service.offered_targets import offered

Call = Callable[..., Any]


def registration(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "device": name,
        "search_spaces": [{"name": "toy", "version": 1}],
        "targets": [offered(device=name)],
    }


@pytest.fixture
def one_use(api: TestClient) -> str:
    request = {"name": "anna", "scopes": ["enroll"], "expires_in_s": 3_600}
    return api.post("/v1/tokens", json=request).json()["secret"]


@pytest.fixture
def as_holder(app: FastAPI, api: TestClient) -> Call:
    """Posts with another token. (The app runs already, in the fixture `api`.)"""

    def post(secret: str, path: str, body: Any = None, method: str = "POST", **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {secret}"}
        return api.request(method, path, json=body, headers=headers, **more)

    return post


@pytest.fixture
def own(as_holder: Call, one_use: str) -> str:
    enrollment = {"worker": "anna", "session": "s" * 43, "host": "rack"}
    enrolled = as_holder(one_use, "/v1/workers/enroll", enrollment)
    assert enrolled.status_code == 201
    return enrolled.json()["token"]


def test_a_one_use_token_opens_nothing_else(as_holder: Call, one_use: str) -> None:
    assert as_holder(one_use, "/v1/workers", registration("anna")).status_code == 403
    assert as_holder(one_use, "/v1/experiments", method="GET").status_code == 403


def test_a_second_use_is_refused_in_one_line(as_holder: Call, one_use: str, own: str) -> None:
    other = {"worker": "anna", "session": "t" * 43}
    refused = as_holder(one_use, "/v1/workers/enroll", other)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:archfront:problem:token-spent"
    detail = refused.json()["detail"]
    assert "UTC by anna on rack. Make another with `archfront fleet token create`." in detail
    assert "\n" not in detail


def test_a_workers_own_token_registers_that_worker_alone(
    as_holder: Call, own: str, worker_id: str
) -> None:
    mine = [as_holder(own, "/v1/workers", registration("anna")).json() for _ in range(2)]
    assert mine[0]["worker_id"] != mine[1]["worker_id"]  # it may come back after a restart
    other = as_holder(own, "/v1/workers", registration("bert"))
    assert (other.status_code, other.json()["type"]) == (
        403,
        "urn:archfront:problem:anothers-worker",
    )
    assert as_holder(own, "/v1/workers/enroll", {"worker": "x", "session": "s" * 43}).is_error
    body = {"status": "draining"}
    assert as_holder(own, f"/v1/workers/{worker_id}/status", body).status_code == 403
    assert as_holder(own, f"/v1/workers/{mine[1]['worker_id']}/status", body).status_code == 200


def test_it_holds_and_reports_its_own_leases_alone(
    api: TestClient,
    as_holder: Call,
    own: str,
    worker_id: str,
    experiment: dict[str, Any],
    suggest: Callable[..., int],
) -> None:
    suggest(experiment["id"], {"x": 0.5, "layers": 2}, {"x": 0.6, "layers": 2})
    theirs = api.post("/v1/leases", json={"worker_id": worker_id}).json()
    assert as_holder(own, "/v1/leases", {"worker_id": worker_id}).status_code == 403
    fail = {"epoch": theirs["epoch"], "fault": "machine", "message": "sabotage"}
    for deed, body in (("heartbeat", {"epoch": theirs["epoch"]}), ("fail", fail)):
        path = f"/v1/leases/{theirs['lease_id']}/{deed}"
        assert as_holder(own, path, body).status_code == 403
    query = {"epoch": theirs["epoch"], "step": 1, "sha256": "0" * 64}
    path = f"/v1/leases/{theirs['lease_id']}/checkpoint"
    assert as_holder(own, path, method="PUT", params=query).status_code == 403
    missing = as_holder(own, "/v1/leases/nothing/heartbeat", {"epoch": 1})
    assert missing.status_code == 404

    me = as_holder(own, "/v1/workers", registration("anna")).json()["worker_id"]
    mine = as_holder(own, "/v1/leases", {"worker_id": me}).json()
    path = f"/v1/leases/{mine['lease_id']}/heartbeat"
    assert as_holder(own, path, {"epoch": mine["epoch"]}).status_code == 200
