"""Tokens: created once, stored hashed, compared in constant time."""

from dataclasses import dataclass
from datetime import datetime
from sqlalchemy import Connection
from service.schemas.tokens import Scope, TokenCreated, TokenRequest, TokenView


@dataclass(frozen=True)
class Principal:
    """Who asks, and what they may do."""

    token_id: str
    name: str
    scopes: frozenset[Scope]
    last_used_at: datetime | None = None


def create_token(connection: Connection, request: TokenRequest) -> TokenCreated:
    """The one time that the secret is seen: `archfront_<id>_<43 characters>`."""
    raise NotImplementedError


def list_tokens(connection: Connection) -> list[TokenView]:
    """Oldest first, revoked ones too."""
    raise NotImplementedError


def revoke_token(connection: Connection, token_id: str) -> TokenView:
    """From now on. Raises: TokenNotFound."""
    raise NotImplementedError


def authenticate(connection: Connection, secret: str) -> Principal:
    """Reads only. Raises: Unauthenticated if unknown, revoked or expired."""
    raise NotImplementedError


def note_token_use(connection: Connection, token_id: str) -> None:
    """Sets last_used_at; call it at most once a minute per token (`Principal.last_used_at` says when), in a write transaction."""
    raise NotImplementedError
