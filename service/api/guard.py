"""Who may do what: every address but a short allow-list needs a token of the right scope."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.params import Depends as DependsParameter
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem_response
from service.domain.errors import (
    ArchfrontError,
    InvalidRequest,
    ScopeMissing,
    Unauthenticated,
    Unavailable,
)
from service.schemas.tokens import Scope as TokenScope
from service.storage.database import Database
from service.use_cases.tokens import Principal, authenticate, note_token_use

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"})
"""The only addresses that answer without a token; they tell nothing of any experiment."""

_NOTE_USE_EVERY = timedelta(minutes=1)
_LOG = logging.getLogger("archfront.api")
_BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="`Authorization: Bearer archfront_...`"
)


class Guard:
    """Answers 401 before anything of the request but its head has been read."""

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the request pass with its principal in `request.state`, or answers itself."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            secret = _bearer_secret(scope)
            principal = await run_in_threadpool(self._authenticated, secret)
            _refuse_nul(scope)
        except ArchfrontError as error:
            await problem_response(error)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    def _authenticated(self, secret: str) -> Principal:
        with self._database.read() as connection:
            principal = authenticate(connection, secret)
        last = principal.last_used_at
        if last is None or datetime.now(UTC) - last > _NOTE_USE_EVERY:
            try:
                with self._database.write() as connection:
                    note_token_use(connection, principal.token_id)
            except Unavailable:  # a busy database must not cost the request its answer
                _LOG.debug("token use not noted", extra={"token_id": principal.token_id})
        return principal


def _bearer_secret(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    kind, _, secret = given[0].decode("latin-1").partition(" ") if given else ("", "", "")
    if kind.lower() != "bearer" or not secret.strip() or not secret.isascii():
        raise Unauthenticated(
            "This address needs a token.",
            remedy="Send 'Authorization: Bearer ...'; `archfront token create` makes one.",
        )
    return secret.strip()


def _refuse_nul(scope: Scope) -> None:
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise InvalidRequest("The address contains the NUL character.", remedy="Remove %00.")


def secret_of(request: Request) -> str:
    """The token that the request carries."""
    return _bearer_secret(request.scope)


def principal_of(request: Request) -> Principal:
    """Who asks."""
    principal: Principal = request.state.principal
    return principal


def needs(*scopes: TokenScope) -> DependsParameter:
    """A route's dependency: the token must carry one of these scopes, else 403."""

    async def check(
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
    ) -> None:
        principal = principal_of(request)
        if not principal.scopes & set(scopes):
            wanted = " or ".join(repr(scope) for scope in scopes)
            held = ", ".join(sorted(principal.scopes))
            raise ScopeMissing(
                f"This needs the scope {wanted}; the token {principal.name!r} carries {held}.",
                remedy="Use another token, or make one with `archfront token create`.",
            )

    check.needed_scopes = scopes  # type: ignore[attr-defined]
    dependency: DependsParameter = Depends(check)
    return dependency
