"""Tokens: created once, stored hashed, compared in constant time."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Connection

from service.domain.errors import InvalidRequest, Unauthenticated
from service.schemas.tokens import ONE_USE_PREFIX, Scope, TokenCreated, TokenRequest, TokenView
from service.storage import events
from service.storage.clock import database_now
from service.storage.tokens import (
    TokenRow,
    all_tokens,
    find_token,
    insert_token,
    set_last_used_at,
    set_revoked_at,
    token_now,
)

_PREFIX = "archfront"
_SECRET_BYTES = 32  # 43 characters in URL-safe base64
_LONGEST_LIFE_S = 100 * 365 * 86_400.0


@dataclass(frozen=True)
class Principal:
    """Who asks, and what they may do. worker: the only one they may speak for (None: any)."""

    token_id: str
    name: str
    scopes: frozenset[Scope]
    worker: str | None = None
    last_used_at: datetime | None = None


def create_token(connection: Connection, request: TokenRequest) -> TokenCreated:
    """A new token; its secret, `archfront_<id>_<43 characters>`, is seen here only.

    Raises: InvalidRequest for a life of more than a hundred years.
    """
    if request.expires_in_s is not None and request.expires_in_s > _LONGEST_LIFE_S:
        raise InvalidRequest(
            f"{request.expires_in_s:g} seconds are more than a hundred years.",
            field="expires_in_s",
            remedy="Leave it out for a token that does not expire.",
        )
    now = database_now(connection)
    kind = ONE_USE_PREFIX if "enroll" in request.scopes else f"{_PREFIX}_"
    token_id = kind.removeprefix(f"{_PREFIX}_") + secrets.token_hex(8)
    secret = f"{_PREFIX}_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    life = None if request.expires_in_s is None else timedelta(seconds=request.expires_in_s)
    token = TokenRow(
        id=token_id,
        name=request.name,
        secret_sha256=hashed(secret),
        scopes=tuple(dict.fromkeys(request.scopes)),
        created_at=now,
        expires_at=None if life is None else now + life,
    )
    insert_token(connection, token)
    data = {"token_id": token_id, "name": token.name, "scopes": list(token.scopes)}
    events.append(connection, "token_created", data=data)
    return TokenCreated(**_view(token).model_dump(), secret=secret)


def list_tokens(connection: Connection) -> list[TokenView]:
    """Every token without its secret, the oldest first, revoked ones too."""
    return [_view(token) for token in all_tokens(connection)]


def revoke_token(connection: Connection, token_id: str) -> TokenView:
    """The token, useless from now on; revoking it again changes nothing.

    Raises: TokenNotFound.
    """
    token = find_token(connection, token_id)
    if token.revoked_at is None:
        set_revoked_at(connection, token_id, database_now(connection))
        events.append(connection, "token_revoked", data={"token_id": token_id})
    return _view(find_token(connection, token_id))


def authenticate(connection: Connection, secret: str) -> Principal:
    """Whose secret this is; writes nothing.

    Raises: Unauthenticated, in the same words whether unknown, revoked or expired.
    """
    prefix, _, rest = secret.partition("_")
    token_id, _, _ = rest.partition("_")
    found = token_now(connection, token_id) if prefix == _PREFIX else None
    expected = found[0].secret_sha256 if found is not None else hashed("")
    matches = hmac.compare_digest(hashed(secret), expected)
    if found is None or not matches or not found[0].is_valid(found[1]):
        raise Unauthenticated(
            "The token is unknown, revoked or expired.",
            field="Authorization",
            remedy="Send another in the Authorization header; `archfront token create` makes one.",
        )
    token, _ = found
    return Principal(
        token_id=token.id,
        name=token.name,
        scopes=cast("frozenset[Scope]", frozenset(token.scopes)),
        worker=token.worker,
        last_used_at=token.last_used_at,
    )


def note_token_use(connection: Connection, token_id: str) -> None:
    """Remembers a use. Once a minute per token is enough: see `Principal.last_used_at`."""
    set_last_used_at(connection, token_id, database_now(connection))


def hashed(secret: str) -> str:
    """What is stored of a secret."""
    # Random secrets of 256 bits need no slow hash.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _view(token: TokenRow) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        scopes=cast("tuple[Scope, ...]", token.scopes),
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_used_at=token.last_used_at,
        worker=token.worker,
        spent_at=token.spent_at,
        spent_by=token.spent_by,
    )
