"""Trades a one-use token for the worker's own, and keeps that beside the worker's results."""

import hashlib
import logging
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from search_spaces.values import Value
from service.client import Client
from service.domain.errors import Unavailable
from service.exchange import ServerUnreachable
from service.schemas.tokens import ONE_USE_PREFIX
from workers.durable_file import write_durably
from workers.name_lock import NameLock

_logger = logging.getLogger(__name__)


class _Enrollment(Value):
    """What the worker knows of its enrollment. token: its own; None until the server has said."""

    one_use_sha256: str
    session: str
    token: str | None = None


def own_token(
    url: str | None,
    given: str | None,
    name: NameLock,
    pauses_s: Callable[[], Iterator[float]],
) -> str | None:
    """The token to work with: the one given, or for a one-use token the worker's own.

    Whatever happens on the way (a lost answer, `kill -9`), the next start goes on with the same
    session, and gets the same token. Waits for the server as long as it takes.
    Raises: TokenSpent, Unauthenticated, InvalidRequest: the server refuses for good.
    """
    token = given or os.environ.get("ARCHFRONT_TOKEN")
    if token is None or not token.startswith(ONE_USE_PREFIX):
        return given
    path = name.folder / "enrollment.json"
    digest = hashlib.sha256(token.encode()).hexdigest()
    kept = _read(path)
    if kept is None or kept.one_use_sha256 != digest:
        kept = _Enrollment(one_use_sha256=digest, session=secrets.token_urlsafe(32))
        _write(path, kept)
    if kept.token is None:
        own = _enroll_patiently(url, token, name.name, kept.session, pauses_s())
        kept = kept.model_copy(update={"token": own})
        _write(path, kept)
    return kept.token


def _enroll_patiently(
    url: str | None, token: str, worker: str, session: str, pauses_s: Iterator[float]
) -> str:
    with Client(url, token, tries=1) as client:
        while True:
            try:
                enrolled = client.enroll_worker(worker, session, platform.node())
            except (ServerUnreachable, Unavailable) as error:
                _logger.warning("Cannot enroll yet: %s", error)
                time.sleep(next(pauses_s))
            else:
                _logger.info("Enrolled as %s.", enrolled.worker)
                return enrolled.token


def _read(path: Path) -> _Enrollment | None:
    try:
        return _Enrollment.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write(path: Path, enrollment: _Enrollment) -> None:
    write_durably(path, enrollment.model_dump_json().encode(), mode=0o600)
