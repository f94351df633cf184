"""The OpenAPI document: committed, so that any change of the wire shows in the diff; fuzzed."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from service.api.openapi import snapshot
from tests.service.served_api import EXTERNAL_SPEC, WORKER_SPEC

EXAMPLES = int(os.environ.get("ARCHFRONT_TEST_FUZZ_EXAMPLES", "4"))
SNAPSHOT = Path(__file__).parents[3] / "docs" / "api" / "openapi.json"


def test_the_snapshot_is_the_wire(app: FastAPI) -> None:
    # After a meant change: make openapi
    assert SNAPSHOT.read_text(encoding="utf-8") == snapshot(app)


def test_operations_have_stable_names_and_our_problems(app: FastAPI) -> None:
    document = app.openapi()
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    assert {"create_experiment", "claim_lease", "read_front", "ask_trial"} <= set(names)
    assert all("4XX" in one["responses"] for one in operations)
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["components"]["schemas"]["Problem"]
    for operation in operations:
        assert operation["summary"], operation
        assert operation.get("description"), operation["operationId"]


def test_every_reference_resolves(app: FastAPI) -> None:
    document = app.openapi()

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    schemas = document["components"]["schemas"]
    wanted = {reference.rpartition("/")[2] for reference in references(document)}
    assert wanted <= set(schemas)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the fuzzer's own
def test_no_generated_request_breaks_the_server(app: FastAPI, api: TestClient) -> None:
    """A few hundred requests, legal and illegal, over every operation: never a 5xx."""
    for spec in (WORKER_SPEC, EXTERNAL_SPEC):
        api.post("/v1/experiments", json=spec).raise_for_status()
    headers = {"Authorization": api.headers["authorization"]}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    sent = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.definition.raw["operationId"] == "read_events":
            continue  # a stream does not end within a test

        @hypothesis_settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case: Any) -> None:
            nonlocal sent
            if "experiment_id" in (case.path_parameters or {}) and sent % 2:
                case.path_parameters["experiment_id"] = ("toy-search", "own-loop")[sent % 4 // 2]
            if isinstance(case.body, dict) and "wait_s" in case.body:
                case.body["wait_s"] = 0
            answer = case.call(headers=headers)
            sent += 1
            case.validate_response(answer, checks=[not_a_server_error])

        for mode in GenerationMode:
            with suppress(Unsatisfiable):  # some operations take nothing that could be wrong
                given(case=operation.as_strategy(generation_mode=mode))(check)()
    assert sent > 200
