"""Trials over HTTP: list, CSV, attach, ask and tell, stop, requeue."""

import csv
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.examples import ATTACH_EXAMPLES, EXTERNAL_EXPERIMENT, TELL_EXAMPLES

TRIALS = "/v1/experiments/own-loop/trials"
Suggest = Callable[..., int]


def attach(api: TestClient, x: float, error: float, latency_ms: float, kind: str = "plain") -> Any:
    body = {
        "parameters": {"x": x, "kind": kind},
        "measurements": {"error": {"mean": error, "sem": 0.01}, "latency_ms": latency_ms},
    }
    answer = api.post(TRIALS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def four(api: TestClient, external: dict[str, Any]) -> None:
    attach(api, 0.1, 0.9, 5.0)
    attach(api, 0.2, 0.5, 10.0, "=cmd()")
    attach(api, 0.3, 0.2, 40.0)
    attach(api, 0.4, 0.6, 60.0)


def numbers(api: TestClient, **query: Any) -> list[int]:
    answer = api.get(TRIALS, params=query)
    assert answer.status_code == 200, answer.text
    return [one["number"] for one in answer.json()["items"]]


def test_list_filters_sorts_and_pages(api: TestClient, four: None) -> None:
    assert numbers(api) == [0, 1, 2, 3]
    assert numbers(api, sort="-error") == [0, 3, 1, 2]
    assert numbers(api, where=["latency_ms <= 50", "error<=0.6"]) == [1, 2]
    assert numbers(api, status=["completed", "failed"], source="manual") == [0, 1, 2, 3]
    assert numbers(api, status="failed") == []
    seen: list[int] = []
    cursor = None
    while True:
        query = {"limit": 3, "sort": "error"} | ({"cursor": cursor} if cursor else {})
        page = api.get(TRIALS, params=query).json()
        seen += [one["number"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [2, 1, 3, 0]


def test_an_unchanged_list_is_not_sent_again(api: TestClient, four: None) -> None:
    for path in (TRIALS, f"{TRIALS}.csv", TRIALS.replace("trials", "pareto")):
        first = api.get(path)
        tag = {"If-None-Match": f'W/"other", {first.headers["etag"]}'}
        assert api.get(path, headers=tag).status_code == 304
        attach(api, len(path) / 1000, 0.7, 70.0)  # one more trial each time
        api.post("/v1/experiments/own-loop/budget", json={"trials": 20})
        assert api.get(path, headers=tag).status_code == 200


def test_csv(api: TestClient, four: None) -> None:
    answer = api.get(f"{TRIALS}.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="own-loop.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == 4
    assert float(rows[1]["parameters.x"]) == 0.2
    assert rows[1]["parameters.kind"] == "'=cmd()"
    assert float(rows[1]["measurements.latency_ms.mean"]) == 10.0
    assert rows[1]["measurements.latency_ms.sem"] == ""
    assert float(rows[1]["measurements.error.sem"]) == 0.01
    assert rows[0]["status"] == "completed"


def test_ask_and_tell(api: TestClient, external: dict[str, Any], suggest: Suggest) -> None:
    refused = api.post("/v1/experiments/own-loop/ask", json={})
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("no-candidate-ready")
    assert refused.headers["retry-after"]
    suggest(external["id"], {"x": 0.5, "kind": "plain"})
    headers = {"Idempotency-Key": "ask-1"}
    asked = api.post("/v1/experiments/own-loop/ask", json={}, headers=headers)
    assert asked.status_code == 200
    again = api.post("/v1/experiments/own-loop/ask", json={}, headers=headers)
    assert again.content == asked.content
    told = {
        "trial_number": asked.json()["trial"]["number"],
        "epoch": asked.json()["epoch"],
        "measurements": {"error": 0.4, "latency_ms": 3.0},
    }
    done = api.post("/v1/experiments/own-loop/tell", json=told)
    assert done.json()["status"] == "completed"


def test_ask_waits_for_a_candidate(
    api: TestClient, external: dict[str, Any], suggest: Suggest
) -> None:
    timer = threading.Timer(0.4, suggest, (external["id"], {"x": 0.5, "kind": "plain"}))
    timer.start()
    asked = api.post("/v1/experiments/own-loop/ask", json={"wait_s": 20})
    timer.join()
    assert asked.status_code == 200, asked.text


def test_the_documented_bodies_are_accepted(api: TestClient, suggest: Suggest) -> None:
    created = api.post("/v1/experiments", json=EXTERNAL_EXPERIMENT).json()
    path = f"/v1/experiments/{created['id']}"
    for example in ATTACH_EXAMPLES.values():
        answer = api.post(f"{path}/trials", json=example["value"])
        assert answer.status_code == 201, answer.text
    asked = api.post(f"{path}/ask", json={}).json()
    for example in TELL_EXAMPLES.values():
        body = {**example["value"], "trial_number": asked["trial"]["number"]}
        assert api.post(f"{path}/tell", json=body).status_code in (200, 409)


def test_stop_and_requeue(api: TestClient, external: dict[str, Any], suggest: Suggest) -> None:
    suggest(external["id"], {"x": 0.5, "kind": "plain"})
    stopped = api.post(f"{TRIALS}/0/stop", json={"reason": "changed my mind"})
    assert (stopped.json()["status"], stopped.json()["reason"]) == ("cancelled", "changed my mind")
    assert api.post(f"{TRIALS}/0/requeue").json()["status"] == "candidate"
    assert api.post(f"{TRIALS}/0/stop").json()["status"] == "cancelled"
    assert api.post(f"{TRIALS}/7/stop").status_code == 404


def test_an_arm_outside_the_space(api: TestClient, external: dict[str, Any]) -> None:
    answer = api.post(TRIALS, json={"parameters": {"x": 3.0, "kind": "plain"}})
    assert answer.status_code == 422
    assert "x" in answer.json()["errors"][0]["field"]


def test_the_budget_ends(api: TestClient, external: dict[str, Any], four: None) -> None:
    attach(api, 0.5, 0.7, 70.0)
    attach(api, 0.6, 0.7, 70.0)
    answer = api.post(TRIALS, json={"parameters": {"x": 0.7, "kind": "plain"}})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("budget-exhausted")
