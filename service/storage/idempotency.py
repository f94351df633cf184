"""Replies kept under the caller's idempotency key, in the transaction of the deed itself."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, select, update

from service.domain.errors import IdempotencyKeyReused, InvalidRequest
from service.storage.clock import database_now, now_within
from service.storage.columns import storable_text
from service.storage.insertion import insert_if_absent
from service.storage.tables import idempotency_keys as keys

MAX_KEY_LENGTH = 200


@dataclass(frozen=True)
class StoredReply:
    """What the request was answered the first time."""

    status: int
    body_json: str


def look_up(
    connection: Connection, key: str, token_id: str | None, request_hash: str
) -> StoredReply | None:
    """The kept reply; None if the deed is still to be done, which then is this caller's to do.

    The key is taken in this transaction: a second request with it waits for the first one's
    commit and then finds the reply, or finds nothing if the first was rolled back.
    request_hash: the SHA-256, in hexadecimal, of all that makes the request.
    Raises: IdempotencyKeyReused if the key came with another request; InvalidRequest.
    """
    if not 0 < len(key) <= MAX_KEY_LENGTH or storable_text(key) != key:
        raise InvalidRequest(
            f"The idempotency key has {len(key)} characters.",
            field="Idempotency-Key",
            remedy=f"Send 1 to {MAX_KEY_LENGTH} printable characters, for instance a UUID.",
        )
    row_of_key = {
        "key": key,
        "token_id": token_id or "",
        "request_hash": request_hash,
        "created_at": now_within(connection),
    }
    if insert_if_absent(connection, keys, row_of_key):
        return None
    row = connection.execute(
        select(keys.c.request_hash, keys.c.status, keys.c.body)
        .where(keys.c.key == key, keys.c.token_id == (token_id or ""))
        .with_for_update()  # a claim that found nothing commits the key without a reply
    ).one()
    if row.request_hash != request_hash:
        raise IdempotencyKeyReused(
            f"The idempotency key {key!r} was used before with another request.",
            field="Idempotency-Key",
            remedy="Send a new key with a new request.",
        )
    return None if row.status is None else StoredReply(row.status, row.body)


def keep(  # noqa: PLR0917  (the seam names them in this order)
    connection: Connection,
    key: str,
    token_id: str | None,
    request_hash: str,
    status: int,
    body_json: str,
) -> None:
    """Keeps the reply under the key that `look_up` took in the same transaction."""
    connection.execute(
        update(keys)
        .where(
            keys.c.key == key,
            keys.c.token_id == (token_id or ""),
            keys.c.request_hash == request_hash,
        )
        .values(status=status, body=body_json)
    )


def forget(connection: Connection, older_than_s: float) -> int:
    """Drops the keys taken longer ago; gives how many. A retry after that is a new request."""
    limit = database_now(connection) - timedelta(seconds=older_than_s)
    return connection.execute(delete(keys).where(keys.c.created_at < limit)).rowcount
