"""A deed: one transaction, done at most once per idempotency key, committed before the answer."""

import hashlib
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from service.api.guard import principal_of
from service.domain.errors import Unavailable
from service.schemas.problems import MEDIA_TYPE
from service.storage import idempotency
from service.storage.database import Database

Act = Callable[[Connection], BaseModel]
_TRIES = 3
_RACES = frozenset({"40001", "40P01"})  # PostgreSQL: serialization failure, deadlock


class Deed:
    """What one POST does, with the caller's idempotency key if there is one.

    A reply is kept in the transaction of the deed itself. Refusals are rolled back and not
    kept: the same key may then try again.
    """

    def __init__(
        self, database: Database, token_id: str, key: str | None, request_hash: str
    ) -> None:
        self.database = database
        self.token_id = token_id
        self._key = key
        self._request_hash = request_hash

    def once(self, act: Act, status: int = 200, keep_instead: Response | None = None) -> Response:
        """Does `act`, or repeats the reply to the same key.

        keep_instead: what a repetition is answered, where the reply itself must not be stored.
        Raises: IdempotencyKeyReused if the key came before with another request.
        """
        response = self.attempt(act, status, keep_instead)
        if response is None:
            raise TypeError("the deed gave nothing; use attempt() for deeds that may")
        return response

    def attempt(
        self,
        act: Callable[[Connection], BaseModel | None],
        status: int = 200,
        keep_instead: Response | None = None,
    ) -> Response | None:
        """As `once`, for a deed that may find nothing to do: then nothing is kept."""
        for left in reversed(range(_TRIES)):
            try:
                return self._attempt(act, status, keep_instead)
            except (IntegrityError, Unavailable) as error:
                # Two requests raced, maybe with one key; the loser sees the winner's rows now.
                if not left or not _is_race(error):
                    raise
        raise AssertionError("unreachable")

    def _attempt(
        self,
        act: Callable[[Connection], BaseModel | None],
        status: int,
        keep_instead: Response | None,
    ) -> Response | None:
        with self.database.write() as connection:
            if self._key is not None:
                stored = idempotency.look_up(
                    connection, self._key, self.token_id, self._request_hash
                )
                if stored is not None:
                    return json_response(stored.body_json, stored.status)
            given = act(connection)
            if given is None:
                return None
            body = given.model_dump_json()
            if self._key is not None:
                kept_status, kept = status, body
                if keep_instead is not None:
                    kept_status = keep_instead.status_code
                    kept = bytes(keep_instead.body).decode()
                idempotency.keep(
                    connection, self._key, self.token_id, self._request_hash, kept_status, kept
                )
        return json_response(body, status)


def json_response(body: str, status: int) -> Response:
    """A reply whose body is JSON already."""
    return Response(body, status, media_type="application/json" if status < 400 else MEDIA_TYPE)


def _is_race(error: Exception) -> bool:
    if isinstance(error, IntegrityError):
        return True
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) in _RACES


async def _deed(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="Sent again with the same request: the same reply, no second effect.",
        ),
    ] = None,
) -> Deed:
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    return Deed(
        request.app.state.database,
        principal_of(request).token_id,
        idempotency_key,
        digest.hexdigest(),
    )


DeedOf = Annotated[Deed, Depends(_deed)]
