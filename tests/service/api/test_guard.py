"""I16: every route but the allow-list needs a token of the right scope; none echoes it."""

import logging
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api.app import api_routes
from service.api.guard import OPEN_PATHS
from service.api.openapi import needed_scopes
from tests.service.served_api import ALL_SCOPES


def guarded_routes() -> list[tuple[str, str, tuple[str, ...]]]:
    found = []
    for route in api_routes():
        if route.path not in OPEN_PATHS:
            path = route.path.replace("{number}", "0").replace("{sha256}", "0" * 64)
            for parameter in ("experiment_id", "lease_id", "worker_id", "token_id", "name"):
                path = path.replace(f"{{{parameter}}}", "nothing")
            found += [(method, path, needed_scopes(route)) for method in sorted(route.methods)]
    return found


def test_the_walk_sees_the_whole_api(app: FastAPI) -> None:
    documented = {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    assert documented == {(m, route.path) for route in api_routes() for m in route.methods}
    routes = guarded_routes()
    assert len(routes) > 40
    assert all(scopes for _, _, scopes in routes), [r for r in routes if not r[2]]


def test_nothing_answers_without_a_token(app: FastAPI) -> None:
    with TestClient(app) as client:
        for method, path, _ in guarded_routes():
            for headers in (
                {},
                {"Authorization": "Bearer archfront_wrong_" + "a" * 43},
                {"Authorization": "Basic YTpi"},
                {"Authorization": "Bearer"},
                {b"Authorization": b"Bearer \xff"},
            ):
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path, headers)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.headers["content-type"] == "application/problem+json"


def test_every_other_scope_is_refused(app: FastAPI, secret_with: Callable[..., str]) -> None:
    secrets = {scope: secret_with(scope) for scope in ALL_SCOPES}
    with TestClient(app) as client:
        for method, path, needed in guarded_routes():
            for scope, secret in secrets.items():
                headers = {"Authorization": f"Bearer {secret}"}
                if path.endswith("/events"):
                    headers["Accept"] = "application/json"
                answer = client.request(method, path, headers=headers)
                if scope in needed:
                    assert answer.status_code not in (401, 403), (method, path, scope)
                else:
                    assert answer.status_code == 403, (method, path, scope)
                    assert answer.json()["type"].endswith("scope-missing")


def test_open_paths_answer(app: FastAPI) -> None:
    with TestClient(app) as client:
        for path in OPEN_PATHS:
            assert client.get(path).status_code == 200, path


def test_an_unknown_address_tells_nothing_without_a_token(app: FastAPI) -> None:
    with TestClient(app) as client:
        assert client.get("/v1/nothing").status_code == 401


def test_a_revoked_token_opens_nothing(
    app: FastAPI, api: TestClient, secret_with: Callable[..., str]
) -> None:
    secret = secret_with("read")
    headers = {"Authorization": f"Bearer {secret}"}
    assert api.get("/v1/experiments", headers=headers).status_code == 200
    [token] = [one for one in api.get("/v1/tokens").json()["items"] if one["scopes"] == ["read"]]
    api.post(f"/v1/tokens/{token['id']}/revoke").raise_for_status()
    assert api.get("/v1/experiments", headers=headers).status_code == 401


def test_no_answer_and_no_log_echoes_a_token(
    app: FastAPI, api: TestClient, secret_with: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = secret_with("read")
    wrong = secret[:-3] + "abc"
    answers = []
    for given in (secret, wrong):
        headers = {"Authorization": f"Bearer {given}"}
        for method, path, _ in guarded_routes():
            answers.append(api.request(method, path, headers=headers))
            answers.append(api.request(method, path, headers=headers, params={"token": given}))
    for answer in answers:
        assert secret not in str(answer.headers)
        # A query that the client itself put a token into may not come back either.
        assert secret not in answer.text
        assert wrong not in answer.text
    logged = "".join(
        str(vars(record)) for record in caplog.records if record.name.startswith("archfront")
    )
    assert "404" in logged
    assert secret not in logged
    assert wrong not in logged
