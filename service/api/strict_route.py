"""A route that reads JSON strictly and refuses query parameters it does not know."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.schemas.documents import DocumentInvalid, UnsupportedMediaType, parse_json, shortened
from service.schemas.problems import FieldProblem
from service.schemas.validation import did_you_mean


class StrictRequest(Request):
    """A request whose JSON body is refused if it is ambiguous or cannot be kept."""

    async def json(self) -> Any:
        """The body; see `parse_json` for what is refused."""
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """Every router's route class. A route with `x-any-query` takes any query parameters."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with the request read strictly."""
        handle = super().get_route_handler()
        takes_any = bool((self.openapi_extra or {}).get("x-any-query"))
        known = _query_names(self.dependant)

        async def strict(request: Request) -> Response:
            if not takes_any:
                _refuse_unknown_query(request, known)
            if self.body_field is not None:
                _refuse_other_media_types(request)
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def _query_names(dependant: Dependant) -> list[str]:
    names = [str(parameter.alias) for parameter in dependant.query_params]
    return names + [name for child in dependant.dependencies for name in _query_names(child)]


def _refuse_unknown_query(request: Request, known: list[str]) -> None:
    problems = [
        FieldProblem(
            field=f"query.{shortened(name)}",
            message="is not a known query parameter",
            value=shortened(request.query_params[name]),
            remedy=did_you_mean(name, known) or "Leave it out.",
        )
        for name in request.query_params
        if name not in known
    ]
    if problems:
        raise DocumentInvalid(tuple(problems))


def _refuse_other_media_types(request: Request) -> None:
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if given.lower() != "application/json" and not given.lower().endswith("+json"):
        raise UnsupportedMediaType(
            f"Content-Type {shortened(given)!r} is not taken here.",
            field="header.Content-Type",
            remedy="Send application/json.",
        )
