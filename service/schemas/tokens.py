"""Tokens on the wire; the secret is shown once, at creation."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from search_spaces.values import Name, ShortText, Value

Scope = Literal["read", "write", "work", "admin", "enroll"]
"""read: see everything. write: create and steer experiments. work: lease and report.
admin: tokens. enroll: once, become a worker with a token of its own. None includes another."""

ONE_USE_PREFIX = "archfront_once"
"""So the secret of a token of the scope `enroll` begins, and no other."""

_WORKER_NAME: TypeAdapter[str] = TypeAdapter(Name)


class TokenRequest(Value):
    """A new token; `expires_in_s` None: it does not expire.

    name: with the scope `enroll`, which stands alone, the name of the worker-to-be.
    """

    name: ShortText
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    expires_in_s: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _enrols_one_worker(self) -> Self:
        if "enroll" not in self.scopes:
            return self
        if set(self.scopes) != {"enroll"}:
            raise ValueError("the scope enroll stands alone; make two tokens")
        try:
            _WORKER_NAME.validate_python(self.name)
        except ValidationError:
            raise ValueError(
                f"{self.name!r} is no worker's name; begin with a letter, then letters, digits, "
                "'_', '.' or '-'"
            ) from None
        return self


class TokenView(Value):
    """A token without its secret.

    worker: the one that it belongs to; None: it speaks for any.
    spent_at, spent_by: when and by whom a one-use token was used.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    worker: str | None = None
    spent_at: datetime | None = None
    spent_by: str | None = None


class TokenCreated(TokenView):
    """A new token with its secret: kept by the caller, never shown again."""

    secret: str
