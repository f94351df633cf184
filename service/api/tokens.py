"""Tokens: make, list, revoke."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from service.api.deeds import DeedOf
from service.api.guard import needs
from service.api.problems import problem_response
from service.api.reading import DatabaseOf
from service.api.strict_route import StrictRoute
from service.domain.errors import Conflict
from service.schemas.pages import Page
from service.schemas.tokens import TokenCreated, TokenRequest, TokenView
from service.use_cases.tokens import create_token, list_tokens, revoke_token

router = APIRouter(
    prefix="/v1/tokens", tags=["tokens"], route_class=StrictRoute, dependencies=[needs("admin")]
)


@router.post("", operation_id="create_token", status_code=201, response_model=TokenCreated)
def create(deed: DeedOf, wanted: TokenRequest) -> Response:
    """A new token; the reply is the one place where its secret is ever shown.

    A repetition under the same idempotency key makes no second token, and is answered 409:
    the server keeps no secret that it could show again.
    """
    shown_already = problem_response(
        Conflict(
            "This idempotency key has made a token already, and its secret is shown only once.",
            remedy="If the answer was lost, revoke that token and make another.",
        )
    )
    return deed.once(lambda connection: create_token(connection, wanted), 201, shown_already)


@router.get("", operation_id="list_tokens")
def list_all(database: DatabaseOf) -> Page[TokenView]:
    """All tokens without their secrets, oldest first."""
    with database.read() as connection:
        return Page(items=tuple(list_tokens(connection)))


@router.post("/{token_id}/revoke", operation_id="revoke_token", response_model=TokenView)
def revoke(deed: DeedOf, token_id: Annotated[str, Path(max_length=200)]) -> Response:
    """The token opens nothing from now on."""
    return deed.once(lambda connection: revoke_token(connection, token_id))
