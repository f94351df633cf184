"""The OpenAPI document: FastAPI's, with our errors, our bodies and the needed scopes.

`python -m service.api.openapi FILE` writes the snapshot that is committed and tested.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from service.domain.experiment import ExperimentSpec
from service.schemas.problems import MEDIA_TYPE, Problem

_REFERENCE = "#/components/schemas/{model}"
_PROBLEM_ANSWER = {
    "description": "What is wrong, where, and what to do about it (RFC 9457).",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
RESPONSES: dict[int | str, dict[str, Any]] = {"4XX": _PROBLEM_ANSWER, "5XX": _PROBLEM_ANSWER}
"""Given to the app, so that FastAPI does not promise its own form of validation errors."""


def install(app: FastAPI, routes: Sequence[APIRoute]) -> None:
    """Makes `app.openapi()` give the document, built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, routes)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI, routes: Sequence[APIRoute]) -> dict[str, Any]:
    built = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    # Bodies read by hand (JSON or YAML) and problems are not seen by FastAPI.
    _, definitions = models_json_schema(
        [(ExperimentSpec, "validation"), (Problem, "serialization")], ref_template=_REFERENCE
    )
    schemas = built["components"]["schemas"]
    for name, schema in definitions["$defs"].items():
        schemas.setdefault(name, schema)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    built["components"]["schemas"] = dict(sorted(schemas.items()))
    for route in routes:
        scopes = needed_scopes(route)
        for method in route.methods or ():
            operation = built["paths"][route.path_format][method.lower()]
            if scopes:
                operation["security"] = [{"token": [scope]} for scope in scopes]
            operation.pop("x-any-query", None)
            # FastAPI's would be the function's name alone: "Read", four times over.
            operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
    return built


def needed_scopes(route: APIRoute) -> tuple[str, ...]:
    """The scopes of which a token needs one to use the route; none for open ones."""
    found = (
        getattr(dependency.call, "needed_scopes", ()) for dependency in route.dependant.dependencies
    )
    return next((scopes for scopes in found if scopes), ())


def snapshot(app: FastAPI) -> str:
    """The document as it is committed: without the release, so that a release is no diff."""
    document = {**app.openapi(), "info": {**app.openapi()["info"], "version": "snapshot"}}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the snapshot to the file named on the command line."""
    from service.api.app import create_app  # noqa: PLC0415  (which imports this module)
    from service.settings import Settings  # noqa: PLC0415

    # Never connected to: the document is made of the routes alone.
    app = create_app(Settings(database_url="sqlite:////nowhere/archfront.db"))
    Path(sys.argv[1]).write_text(snapshot(app), encoding="utf-8")


if __name__ == "__main__":
    main()
