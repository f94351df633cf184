"""Gives a worker a token of its own, once for each one-use token."""

import base64
import hashlib
import hmac

from sqlalchemy import Connection

from service.domain.errors import InvalidRequest, TokenSpent
from service.schemas.workers import WorkerEnrolled, WorkerEnrollment
from service.storage import events
from service.storage.clock import database_now
from service.storage.tokens import (
    TokenRow,
    find_token,
    insert_token,
    set_revoked_at,
    spend,
    tokens_of_worker,
)
from service.use_cases.tokens import hashed

_ID_CHARACTERS = 16


def enroll_worker(
    connection: Connection, token_id: str, secret: str, request: WorkerEnrollment
) -> WorkerEnrolled:
    """The worker's own token; the same again for the same session, as long as the first lives.

    token_id, secret: of the one-use token, which the caller has authenticated. The worker's
        token derives from the secret and the session, so that a lost answer can be given again
        although the server keeps hashes alone.
    Whatever token of its own a worker of this name had is revoked: it has begun anew.
    Raises: InvalidRequest if the token is for a worker of another name; TokenSpent.
    """
    once = find_token(connection, token_id)
    if request.worker != once.name:
        raise InvalidRequest(
            f"The token is for the worker {once.name!r}, not {request.worker!r}.",
            field="worker",
            remedy="Start the worker under that name, or make a token for this one.",
        )
    own_id = _derived(secret, "id", request.session).hex()[:_ID_CHARACTERS]
    own_secret = base64.urlsafe_b64encode(_derived(secret, "secret", request.session))
    own = f"archfront_{own_id}_{own_secret.decode().rstrip('=')}"
    now = database_now(connection)
    by = f"{request.worker} on {request.host or 'a machine without a name'}"
    session_sha256 = hashed(request.session)
    if spend(connection, token_id, now=now, by=by, session_sha256=session_sha256):
        for earlier in tokens_of_worker(connection, request.worker):
            set_revoked_at(connection, earlier, now)
            events.append(connection, "token_revoked", data={"token_id": earlier})
        row = TokenRow(
            id=own_id,
            name=request.worker,
            secret_sha256=hashed(own),
            scopes=("work",),
            created_at=now,
            worker=request.worker,
        )
        insert_token(connection, row)
        data = {"name": request.worker, "token_id": own_id, "by_token_id": token_id}
        events.append(connection, "worker_enrolled", data=data)
    else:
        _require_same_session(find_token(connection, token_id), session_sha256)
    return WorkerEnrolled(worker=request.worker, token_id=own_id, token=own)


def _derived(secret: str, what: str, session: str) -> bytes:
    return hmac.digest(secret.encode(), f"{what} {session}".encode(), hashlib.sha256)


def _require_same_session(spent: TokenRow, session_sha256: str) -> None:
    if hmac.compare_digest(spent.session_sha256 or "", session_sha256):
        return
    at = f"{spent.spent_at:%Y-%m-%d %H:%M:%S} UTC" if spent.spent_at else "an unknown time"
    raise TokenSpent(
        f"This one-use token was used at {at} by {spent.spent_by}.",
        field="Authorization",
        remedy="Make another with `archfront fleet token create`.",
    )
