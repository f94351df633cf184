"""Tokens on the wire; the secret is shown once, at creation."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from search_spaces.values import ShortText, Value

Scope = Literal["read", "write", "work", "admin"]
"""read: see everything. write: create and steer experiments. work: lease and report.
admin: tokens. None includes another."""


class TokenRequest(Value):
    """A new token; `expires_in_s` None: it does not expire."""

    name: ShortText
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    expires_in_s: Annotated[float, Field(gt=0)] | None = None


class TokenView(Value):
    """A token without its secret."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class TokenCreated(TokenView):
    """A new token with its secret: kept by the caller, never shown again."""

    secret: str
