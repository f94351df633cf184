"""Exchanges with the server: sent again where that is safe, refused as the server refused."""

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, ValidationError

from service import local_server
from service.domain.errors import (
    ArchfrontError,
    Conflict,
    InvalidRequest,
    NotFound,
    ScopeMissing,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from service.schemas.documents import DocumentInvalid
from service.schemas.pages import Page
from service.schemas.problems import Problem, error_class

DEFAULT_URL = "http://127.0.0.1:8731"
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})

Model = TypeVar("Model", bound=BaseModel)
Body = BaseModel | Mapping[str, Any] | bytes | None


class ServerUnreachable(ArchfrontError):
    """No server answers."""


class AnswerNotUnderstood(ArchfrontError):
    """The server's answer is not one of this release; server and client differ."""


class Exchange:
    """The way to one server. Thread-safe.

    tries: how often a request is sent before giving up.
    timeout_s: for each answer to begin, beyond what the request itself asks to wait.
    """

    def __init__(
        self,
        base_url: str | None,
        token: str | None,
        *,
        tries: int,
        timeout_s: float,
        transport: httpx2.BaseTransport | None,
    ) -> None:
        self.base_url, found = find_server(base_url, token)
        self._tries = tries
        self._timeout_s = timeout_s
        headers = {"User-Agent": "archfront"}
        if found is not None:
            headers["Authorization"] = f"Bearer {found}"
        self.http = httpx2.Client(
            base_url=self.base_url, headers=headers, timeout=timeout_s, transport=transport
        )

    def get(self, path: str, model: type[Model], query: Mapping[str, Any] | None = None) -> Model:
        """Reads one thing."""
        return understood(self.send("GET", path, query=query), model)

    def post(self, path: str, body: Body, model: type[Model], *, wait_s: float = 0.0) -> Model:
        """Does one deed, at most once however often it is sent."""
        return understood(self.send("POST", path, body=body, wait_s=wait_s), model)

    def pages(self, path: str, query: Mapping[str, Any], item: type[Model]) -> Iterator[Model]:
        """Every item of a list, page after page."""
        cursor: str | None = None
        while True:
            page = self.get(path, Page[item], {**query, "cursor": cursor})  # type: ignore[valid-type]
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Body = None,
        content: Callable[[], Iterable[bytes]] | None = None,
        media_type: str = "application/json",
        key: str | None = None,
        wait_s: float = 0.0,
        timeout_s: float | None = None,
        tries: int | None = None,
    ) -> httpx2.Response:
        """The successful answer.

        content: makes the body anew for each try; instead of `body`.
        key: the idempotency key of a POST; made up unless given, left out if empty.
        wait_s: how long the server may wait on purpose.
        Raises: ServerUnreachable, or the error that the server's problem names.
        """
        headers = {}
        if body is not None or content is not None:
            headers["Content-Type"] = media_type
        if method == "POST" and key != "":
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        payload = _payload(body)
        timeout = httpx2.Timeout((timeout_s or self._timeout_s) + wait_s)
        for left in self.attempts(tries):
            try:
                answer = self.http.request(
                    method,
                    path,
                    params=_present(query or {}),
                    content=content() if content is not None else payload,
                    headers=headers,
                    timeout=timeout,
                )
            except httpx2.TransportError as error:
                if not left:
                    raise self.unreachable(error) from error
                continue
            if answer.is_success:
                return answer
            if answer.status_code not in _TRY_AGAIN or not left:
                raise refusal(answer)
        raise AssertionError("attempts() gives at least one")

    def attempts(self, tries: int | None = None) -> Iterator[int]:
        """How many tries are left after each, with a longer pause before each next."""
        count = tries or self._tries
        for done in range(count):
            if done:
                pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (done - 1))
                time.sleep(pause_s * random.uniform(0.5, 1.0))
            yield count - done - 1

    def unreachable(self, error: Exception) -> ServerUnreachable:
        """What a failed connection means to the caller."""
        return ServerUnreachable(
            f"No server answers at {self.base_url} ({type(error).__name__}).",
            remedy="Start one with `archfront serve`, or point ARCHFRONT_URL at the right one.",
        )


def find_server(base_url: str | None, token: str | None) -> tuple[str, str | None]:
    """Where the server is, and the token for it: given, from the environment, or by the note.

    The token of a server on this machine is only ever sent to that server.
    """
    url = base_url or os.environ.get("ARCHFRONT_URL")
    token = token or os.environ.get("ARCHFRONT_TOKEN")
    if url is None:
        local = local_server.find(DEFAULT_URL) or local_server.find()
        url = local.url if local is not None else DEFAULT_URL
    elif urlsplit(url).scheme not in ("http", "https"):
        raise InvalidRequest(
            f"{url!r} is no server's address.",
            field="ARCHFRONT_URL",
            remedy="Write http://HOST:PORT or https://HOST.",
        )
    if token is None:
        local = local_server.find(url)
        token = local.token() if local is not None else None
    return url.rstrip("/"), token


def path_to(*parts: str | int) -> str:
    """`/v1/...`, its parts quoted."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def understood(answer: httpx2.Response, model: type[Model]) -> Model:
    """The answer's body. Raises: AnswerNotUnderstood."""
    return understood_text(answer.content, model)


def understood_text(text: str | bytes, model: type[Model]) -> Model:
    """A model from JSON that the server wrote. Raises: AnswerNotUnderstood."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise AnswerNotUnderstood(
            f"The server's {model.__name__} differs in {error.error_count()} fields.",
            remedy="Use the same release of archfront on both sides.",
        ) from error


_BY_STATUS: dict[int, type[ArchfrontError]] = {
    401: Unauthenticated,
    403: ScopeMissing,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: InvalidRequest,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def refusal(answer: httpx2.Response) -> ArchfrontError:
    """The error that the server raised, as the same class."""
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        kind = _BY_STATUS.get(answer.status_code, AnswerNotUnderstood)
        return kind(f"{answer.request.url} answered {answer.status_code}.")
    kind = error_class(problem.type)
    if kind is DocumentInvalid:
        return DocumentInvalid(problem.errors, problem.detail)
    if kind is ArchfrontError:
        kind = _BY_STATUS.get(answer.status_code, AnswerNotUnderstood)
    field = problem.errors[0].field if problem.errors else None
    return kind(problem.detail, field=field)


def _payload(body: Body) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, BaseModel):
        return body.model_dump_json().encode()
    return json.dumps(body).encode()


def _present(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
