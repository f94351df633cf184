"""The one table of error classes and HTTP statuses, and the answers they become."""

import logging
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.domain.errors import (
    ArchfrontError,
    Conflict,
    DatabaseNewerThanCode,
    InvalidRequest,
    NoCandidateReady,
    NotFound,
    ScopeMissing,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from service.logs import redacted
from service.schemas.documents import DocumentInvalid, UnsupportedMediaType, printable
from service.schemas.problems import MEDIA_TYPE, FieldProblem, Problem, problem_type
from service.schemas.validation import field_problems

_LOG = logging.getLogger("archfront.api")

STATUSES: dict[type[ArchfrontError], HTTPStatus] = {
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    ScopeMissing: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseNewerThanCode: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_WORTH_RETRYING = (Unavailable, NoCandidateReady)


def status_of(error: ArchfrontError) -> HTTPStatus:
    """The status of the nearest ancestor in the table."""
    return next(
        (STATUSES[known] for known in type(error).__mro__ if known in STATUSES),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def problem_of(error: ArchfrontError) -> Problem:
    """The error as the wire has it."""
    errors: tuple[FieldProblem, ...] = ()
    if isinstance(error, DocumentInvalid):
        errors = error.errors
    elif error.field is not None:
        errors = (FieldProblem(field=error.field, message=error.detail, remedy=error.remedy),)
    return Problem(
        type=problem_type(type(error)),
        title=error.title()[:200],
        status=status_of(error),
        detail=printable(str(error)),
        errors=errors,
    )


def problem_response(error: ArchfrontError) -> Response:
    """The answer that tells of the error."""
    headers = {}
    if isinstance(error, _WORTH_RETRYING):
        headers["Retry-After"] = "2"
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    problem = problem_of(error)
    # A client may have put its token where it does not belong, and be told of that place.
    body = redacted(problem.model_dump_json())
    return Response(body, problem.status, media_type=MEDIA_TYPE, headers=headers)


def plain_response(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem that no error class stands for, such as 405 or 500."""
    phrase = HTTPStatus(status).phrase
    problem = Problem(type="about:blank", title=phrase, status=status, detail=detail)
    return Response(problem.model_dump_json(), status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI, routes: Sequence[APIRoute]) -> None:
    """Makes every error of the app leave it as a problem."""

    @app.exception_handler(ArchfrontError)
    async def _ours(_: Request, error: ArchfrontError) -> Response:
        if isinstance(error, Unavailable):
            _LOG.warning("unavailable", extra={"reason": repr(error.__cause__ or error)[:300]})
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(DocumentInvalid(_request_problems(request, error)))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, ArchfrontError):  # raised while the body was read
            return problem_response(error.__cause__)
        detail = {
            404: f"There is nothing at {printable(request.url.path)[:200]}; "
            "/openapi.json lists all addresses.",
            405: f"{request.method} is not allowed here; see the Allow header.",
        }.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = _allowed(request.url.path, routes)
        return plain_response(error.status_code, detail, headers)

    @app.exception_handler(DataError)
    async def _does_not_fit(_: Request, error: DataError) -> Response:
        _LOG.info("value refused by the database", extra={"reason": str(error.orig)[:200]})
        return problem_response(
            InvalidRequest("A value is not one the database can hold.", remedy="Correct it.")
        )


def _allowed(path: str, routes: Sequence[APIRoute]) -> str:
    """The methods of all routes at this path; Starlette names only the first one's."""
    found = {
        method for route in routes if route.path_regex.match(path) for method in route.methods or ()
    }
    return ", ".join(sorted(found))


def _request_problems(request: Request, error: RequestValidationError) -> tuple[FieldProblem, ...]:
    """The offending fields; those outside the body are prefixed `query.`, `path.`, `header.`."""
    found: list[FieldProblem] = []
    route = request.scope.get("route")
    body_field = getattr(route, "body_field", None)
    model = body_field.field_info.annotation if body_field is not None else None
    in_body = []
    for one in error.errors():
        source, *location = one["loc"]
        if source == "body":
            in_body.append({**one, "loc": tuple(location)})
        else:
            document = _outside_body(request, source, one)
            rooted = {**one, "loc": (source, *location)}
            found += field_problems([rooted], None, {source: document})  # type: ignore[list-item]
    document = error.body if error.body is not None else None
    return (*found, *field_problems(in_body, model, document))  # type: ignore[arg-type]


def _outside_body(request: Request, source: str, error: dict[str, object]) -> object:
    if source == "query":
        return dict(request.query_params)
    if source == "path":
        return dict(request.path_params)
    return {str(error["loc"][-1]): error.get("input")}  # type: ignore[index]
