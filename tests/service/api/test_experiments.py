"""Experiments over HTTP: create, validate, list, read, steer."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.examples import EXTERNAL_EXPERIMENT, EXTERNAL_EXPERIMENT_YAML
from tests.service.served_api import EXTERNAL_SPEC, WORKER_SPEC

YAML = {"Content-Type": "application/yaml"}


def test_create_from_json_and_read_by_id_and_name(api: TestClient) -> None:
    answer = api.post("/v1/experiments", json=WORKER_SPEC)
    assert answer.status_code == 201
    created = answer.json()
    assert created["spec"]["search_space"] == {"name": "toy", "version": 1}
    for key in (created["id"], "toy-search"):
        view = api.get(f"/v1/experiments/{key}").json()
        assert view["experiment"]["id"] == created["id"]
        assert view["trial_counts"]["completed"] == 0
        assert "worker" in view["explanation"]


def test_create_from_yaml_reads_exponents_as_numbers(api: TestClient) -> None:
    text = """
name: from-yaml
parameters:
  - {type: float, name: lr, low: 1e-5, high: 1e-2, scale: log}
  - {type: choice, name: decay, values: [1e-4, 1e-3]}
  - {type: choice, name: switch, values: [on, off]}
metrics: [{name: error}]
objectives: [{metric: error, goal: minimize}]
budget: 3
"""
    answer = api.post("/v1/experiments", content=text, headers=YAML)
    assert answer.status_code == 201, answer.text
    lr, decay, switch = answer.json()["space"]["parameters"]
    assert (lr["low"], lr["high"]) == (1e-5, 1e-2)
    assert decay["values"] == [1e-4, 1e-3]
    assert switch["values"] == ["on", "off"]


def test_the_documented_examples_are_accepted(api: TestClient) -> None:
    assert api.post("/v1/experiments/validate", json=EXTERNAL_EXPERIMENT).status_code == 200
    answer = api.post("/v1/experiments", content=EXTERNAL_EXPERIMENT_YAML, headers=YAML)
    assert answer.status_code == 201, answer.text


def test_validate_changes_nothing(api: TestClient) -> None:
    answer = api.post("/v1/experiments/validate", json=WORKER_SPEC)
    assert answer.status_code == 200
    assert answer.json()["parameter_count"] == 2
    assert "latency_ms" in answer.json()["metrics"]
    assert api.get("/v1/experiments").json()["items"] == []


def test_list_pages_by_cursor(api: TestClient) -> None:
    for index in range(5):
        api.post("/v1/experiments", json={**WORKER_SPEC, "name": f"e{index}"}).raise_for_status()
    names: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = api.get("/v1/experiments", params=query).json()
        assert len(page["items"]) <= 2
        names += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == ["e4", "e3", "e2", "e1", "e0"]
    assert api.get("/v1/experiments", params={"cursor": "nonsense"}).status_code == 422


def test_steering_goes_its_way(api: TestClient, experiment: dict[str, Any]) -> None:
    def steer(word: str) -> Any:
        return api.post(f"/v1/experiments/toy-search/{word}")

    assert steer("pause").json()["experiment"]["status"] == "paused"
    assert "aused" in api.get("/v1/experiments/toy-search").json()["explanation"]
    assert steer("resume").json()["experiment"]["status"] == "running"
    raised = api.post("/v1/experiments/toy-search/budget", json={"trials": 9})
    assert raised.json()["experiment"]["budget_trials"] == 9
    fallen = api.post("/v1/experiments/toy-search/budget", json={"trials": 2})
    assert fallen.status_code == 422
    assert steer("stop").json()["experiment"]["status"] == "stopped"
    assert steer("resume").status_code == 409
    assert steer("archive").status_code == 200
    assert api.get("/v1/experiments").json()["items"] == []
    archived = api.get("/v1/experiments", params={"include_archived": True}).json()["items"]
    assert [one["name"] for one in archived] == ["toy-search"]
    assert steer("unarchive").status_code == 200
    assert len(api.get("/v1/experiments").json()["items"]) == 1


def test_an_unchanged_experiment_is_not_sent_again(
    api: TestClient, experiment: dict[str, Any]
) -> None:
    first = api.get("/v1/experiments/toy-search")
    tag = {"If-None-Match": first.headers["etag"]}
    again = api.get("/v1/experiments/toy-search", headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    api.post("/v1/experiments/toy-search/pause").raise_for_status()
    changed = api.get("/v1/experiments/toy-search", headers=tag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_a_name_is_taken_once(api: TestClient, experiment: dict[str, Any]) -> None:
    answer = api.post("/v1/experiments", json=WORKER_SPEC)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"] == "urn:archfront:problem:name-taken"
    assert problem["errors"][0]["field"] == "name"


@pytest.mark.parametrize("key", ["nothing", "exp_0123", "a" * 201, "%F0%9F%98%80", "a b"])
def test_an_unknown_experiment_is_not_found(api: TestClient, key: str) -> None:
    answer = api.get(f"/v1/experiments/{key}")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_search_spaces(api: TestClient) -> None:
    [space] = api.get("/v1/search-spaces").json()["items"]
    assert (space["name"], space["parameter_count"]) == ("toy", 2)
    detail = api.get("/v1/search-spaces/toy").json()
    assert [one["name"] for one in detail["space"]["parameters"]] == ["x", "layers"]
    assert detail["metrics"][0]["name"] == "error"
    missing = api.get("/v1/search-spaces/toi")
    assert missing.status_code == 404
    assert "did you mean 'toy'" in missing.json()["detail"]


def test_an_external_experiment_has_its_own_metrics(api: TestClient) -> None:
    created = api.post("/v1/experiments", json=EXTERNAL_SPEC).json()
    assert [metric["name"] for metric in created["metrics"]] == ["error", "latency_ms"]


def test_a_warm_start_is_checked_and_its_use_shown(api: TestClient) -> None:
    assert api.post("/v1/experiments", json=EXTERNAL_SPEC).status_code == 201
    later = EXTERNAL_SPEC | {"name": "later", "warm_start": ["own-lop"]}
    for path in ("/v1/experiments", "/v1/experiments/validate"):
        answer = api.post(path, json=later)
        assert answer.status_code == 404
        problem = answer.json()
        assert problem["errors"][0]["field"] == "warm_start.0.experiment"
        assert "Did you mean 'own-loop'?" in problem["errors"][0]["remedy"]
    later["warm_start"] = ["own-loop"]
    checked = api.post("/v1/experiments/validate", json=later).json()["spec"]["warm_start"]
    assert checked[0]["metrics"] == {"error": "error", "latency_ms": "latency_ms"}
    created = api.post("/v1/experiments", json=later)
    assert created.json()["spec"]["warm_start"] == checked
    before = api.get("/v1/experiments/later")
    arm = {"parameters": {"x": 0.1, "kind": "plain"}}
    api.post(
        "/v1/experiments/own-loop/trials",
        json=arm | {"measurements": {"error": 0.5, "latency_ms": 5}},
    )
    # A source goes on by itself; what was read before is out of date all the same.
    tag = {"If-None-Match": before.headers["ETag"]}
    (source,) = api.get("/v1/experiments/later", headers=tag).json()["sources"]
    assert (source["name"], source["final_trials"], source["used_trials"]) == ("own-loop", 1, 1)
