"""Bad input: always 4xx, always problem+json that names field, value and remedy."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from service.api import experiments
from service.api.problems import STATUSES, status_of
from service.domain import errors
from service.domain.errors import ArchfrontError
from service.storage.database import Database
from tests.service.served_api import EXTERNAL_SPEC, WORKER_SPEC

JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}


def refused(api: TestClient, spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The problems of a spec by field."""
    answer = api.post("/v1/experiments", json=spec)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert problem["errors"], problem
    return {one["field"]: one for one in problem["errors"]}


def test_an_unknown_parameter_type(api: TestClient) -> None:
    spec = {**EXTERNAL_SPEC, "parameters": [{"type": "flot", "name": "x", "low": 0, "high": 1}]}
    problem = refused(api, spec)["parameters[0].type"]
    assert problem["value"] == "flot"
    assert problem["remedy"] == "Did you mean 'float'?"


def test_contradictory_bounds(api: TestClient) -> None:
    spec = {**EXTERNAL_SPEC, "parameters": [{"type": "float", "name": "x", "low": 2, "high": 1}]}
    problem = refused(api, spec)["parameters[0]"]
    assert "low (2.0) must be below high (1.0)" in problem["message"]
    assert problem["remedy"].startswith("Swap them")


def test_an_objective_that_no_metric_gives(api: TestClient) -> None:
    spec = {**WORKER_SPEC, "objectives": [{"metric": "latncy_ms", "goal": "minimize"}]}
    [(field, problem)] = refused(api, spec).items()
    assert field.startswith("objectives")
    assert "latncy_ms" in problem["message"]
    assert "latency_ms" in problem["remedy"]


def test_a_mistyped_key_at_every_depth(api: TestClient) -> None:
    spec = {
        **EXTERNAL_SPEC,
        "objectivs": [],
        "optimizer": {"strategi": "ax"},
        "parameters": [{"type": "float", "name": "x", "low": 0, "hihg": 1}],
    }
    problems = refused(api, spec)
    assert problems["objectivs"]["remedy"] == "Did you mean 'objectives'?"
    assert problems["optimizer.strategi"]["remedy"] == "Did you mean 'strategy'?"
    assert problems["parameters[0].hihg"]["remedy"] == "Did you mean 'high'?"
    assert problems["parameters[0].high"]["message"] == "is missing"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(api: TestClient, number: str) -> None:
    text = json.dumps(EXTERNAL_SPEC).replace("100.0", number)
    answer = api.post("/v1/experiments", content=text, headers=JSON)
    assert answer.status_code == 422
    [problem] = answer.json()["errors"]
    assert problem["field"] == "objectives[1].threshold"
    assert "finite" in problem["message"]


def test_nan_in_a_free_form_field(api: TestClient, external: dict[str, Any]) -> None:
    text = (
        '{"parameters": {"x": 0.5, "kind": "plain"}, "measurements": {"error": '
        '{"mean": 1.0, "protocol": {"runs": [1.0, NaN]}}, "latency_ms": 1.0}}'
    )
    answer = api.post("/v1/experiments/own-loop/trials", content=text, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "measurements.error.protocol.runs[1]"


def test_a_body_beyond_the_limit(api: TestClient) -> None:
    body = json.dumps({**EXTERNAL_SPEC, "description": "x" * 2 * 1024 * 1024})
    answer = api.post("/v1/experiments", content=body, headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:archfront:problem:too-large"

    def pieces() -> Any:  # without a Content-Length
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536].encode()

    streamed = api.post("/v1/workers", content=pieces(), headers=JSON)
    assert streamed.status_code == 413
    assert api.post("/v1/experiments", content=pieces(), headers=JSON).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"name": "a", "name": "b"}',
        b'{"budget": ' + b"9" * 5_000 + b"}",
        b'{"budget": 99999999999999999999999}',
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800", "\\udfff": 1}',
        b'{"description": "\\u0000"}',
        b'{"seed": 1e300, "budget": -1}',
    ],
)
def test_bodies_that_are_none(api: TestClient, external: dict[str, Any], body: bytes) -> None:
    for path in (
        "/v1/experiments",
        "/v1/experiments/own-loop/trials",
        "/v1/experiments/own-loop/tell",
        "/v1/workers",
        "/v1/leases",
        "/v1/leases/none/heartbeat",
        "/v1/tokens",
    ):
        answer = api.post(path, content=body, headers=JSON)
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"a: [1,",
        b"a: 1\na: 2",
        b"[" * 50_000,
        b"a: &a [*a]",
        b"\x00",
        b"!!python/object/apply:os.system [ls]",
        b"&a [" + b"*a," * 3,
        b"a: .nan",
        b"? [1]\n: 2",
    ],
)
def test_yaml_that_is_none(api: TestClient, body: bytes) -> None:
    answer = api.post("/v1/experiments", content=body, headers=YAML)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_yaml_error_names_line_and_column(api: TestClient) -> None:
    answer = api.post("/v1/experiments", content="name: a\nbudget: [1,\n", headers=YAML)
    assert "line 3, column 1" in answer.json()["detail"]


def test_a_json_error_names_line_and_column(api: TestClient) -> None:
    answer = api.post("/v1/experiments", content='{"name": "a",\n  budget}', headers=JSON)
    assert "line 2, column 3" in answer.json()["detail"]


def test_a_billion_laughs(api: TestClient) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    answer = api.post("/v1/experiments", content="\n".join(lines), headers=YAML)
    assert answer.status_code == 422


def test_another_media_type(api: TestClient) -> None:
    for path in ("/v1/experiments", "/v1/workers"):
        answer = api.post(path, content=b"<a/>", headers={"Content-Type": "text/xml"})
        assert answer.status_code == 415, answer.text


def test_parameters_outside_the_body(api: TestClient, external: dict[str, Any]) -> None:
    answer = api.get("/v1/experiments", params={"limit": 0})
    [problem] = answer.json()["errors"]
    assert (problem["field"], problem["value"]) == ("query.limit", "0")
    answer = api.get("/v1/experiments", params={"limt": 5})
    [problem] = answer.json()["errors"]
    assert problem["remedy"] == "Did you mean 'limit'?"
    answer = api.get("/v1/experiments/own-loop/trials/x")
    assert answer.json()["errors"][0]["field"] == "path.number"
    answer = api.get("/v1/experiments/own-loop/trials/99999999999999999999")
    assert answer.status_code == 422
    answer = api.get("/v1/experiments/own-loop/trials", params={"where": "error < 3"})
    assert answer.json()["errors"][0]["field"] == "query.where[0]"
    answer = api.get("/v1/experiments/own-loop/trials", params={"sort": "erorr"})
    assert answer.status_code == 422
    answer = api.get("/v1/experiments/a%00b")
    assert answer.status_code == 422
    answer = api.get("/v1/experiments?cursor=%00")
    assert answer.status_code == 422
    answer = api.get("/v1/experiments/%ff%fe")
    assert answer.status_code == 404


def test_404_and_405_have_the_same_form(api: TestClient) -> None:
    missing = api.get("/v1/nothing")
    assert missing.status_code == 404
    wrong = api.delete("/v1/experiments")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET, POST"
    for answer in (missing, wrong):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def test_a_database_that_is_away(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Database) -> Any:
        raise errors.Unavailable("The database cannot be reached.") from OperationalError(
            "", None, Exception("gone")
        )

    monkeypatch.setattr(Database, "read", away)
    for path in ("/v1/experiments", "/readyz", "/metrics"):
        answer = api.get(path)
        assert answer.status_code == 503, path
        assert answer.headers["retry-after"] == "2"
        assert answer.json()["type"] == "urn:archfront:problem:unavailable"


def test_what_nobody_foresaw_is_answered_and_logged(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug with secrets")

    monkeypatch.setattr(experiments, "list_experiments", broken)
    answer = api.get("/v1/experiments")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secrets" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    assert "a bug with secrets" in caplog.text


def test_every_error_class_has_a_status() -> None:
    def descendants(root: type[ArchfrontError]) -> list[type[ArchfrontError]]:
        return [root] + [one for child in root.__subclasses__() for one in descendants(child)]

    known = [one for one in descendants(ArchfrontError) if one.__module__ == errors.__name__]
    assert all(any(issubclass(one, listed) for listed in STATUSES) for one in known[1:])
    assert status_of(errors.LeaseLost()) == 409
    assert status_of(errors.IdempotencyKeyReused()) == 422


def test_security_headers_are_everywhere(api: TestClient) -> None:
    for path in ("/v1/experiments", "/v1/nothing", "/docs", "/healthz"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
