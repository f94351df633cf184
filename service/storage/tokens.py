"""Tokens as rows: the hash of the secret, never the secret."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update

from service.domain.errors import TokenNotFound
from service.storage.clock import now_within
from service.storage.tables import tokens


@dataclass(frozen=True)
class TokenRow:
    """A token; `secret_sha256` in hexadecimal.

    worker: the only one that it speaks for. The rest is of one-use tokens: when, by whom and in
    which session (by its SHA-256) it was used.
    """

    id: str
    name: str
    secret_sha256: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    worker: str | None = None
    spent_at: datetime | None = None
    spent_by: str | None = None
    session_sha256: str | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def insert_token(connection: Connection, token: TokenRow) -> None:
    """Adds the token."""
    connection.execute(insert(tokens).values({name: getattr(token, name) for name in _FIELDS}))


def find_token(connection: Connection, token_id: str) -> TokenRow:
    """The token of this id. Raises: TokenNotFound."""
    row = connection.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
    if row is None:
        raise TokenNotFound(
            f"No token has the id {token_id!r}.",
            field="token_id",
            remedy="List them with GET /v1/tokens.",
        )
    return _as_token(row)


def token_now(connection: Connection, token_id: str) -> tuple[TokenRow, datetime] | None:
    """The token of this id and the time by the database's clock, in one look; None: no such."""
    query = select(tokens, now_within(connection).label("now")).where(tokens.c.id == token_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else (_as_token(row), row.now)


def all_tokens(connection: Connection) -> list[TokenRow]:
    """Every token, the oldest first."""
    query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
    return [_as_token(row) for row in connection.execute(query)]


def spend(
    connection: Connection, token_id: str, *, now: datetime, by: str, session_sha256: str
) -> bool:
    """Uses a one-use token; false if it was used before."""
    spent = connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.spent_at.is_(None))
        .values(spent_at=now, spent_by=by, session_sha256=session_sha256)
    )
    return spent.rowcount == 1


def tokens_of_worker(connection: Connection, worker: str) -> list[str]:
    """Ids of the worker's own tokens that were not revoked."""
    query = select(tokens.c.id).where(tokens.c.worker == worker, tokens.c.revoked_at.is_(None))
    return list(connection.scalars(query.order_by(tokens.c.id)))


def set_revoked_at(connection: Connection, token_id: str, moment: datetime) -> None:
    """Revokes the token; an earlier revocation stays as it is."""
    connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        .values(revoked_at=moment)
    )


def set_last_used_at(connection: Connection, token_id: str, moment: datetime) -> None:
    """Remembers a use."""
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=moment))


_FIELDS = tuple(TokenRow.__dataclass_fields__)


def _as_token(row: Row[tuple[object, ...]]) -> TokenRow:
    values = {name: getattr(row, name) for name in _FIELDS}
    return TokenRow(**(values | {"scopes": tuple(values["scopes"])}))
