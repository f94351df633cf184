"""Refuses bodies beyond a limit, counted as they stream in, whatever the header says."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.domain.errors import TooLarge

_DRAIN_BYTES = 16 * 1024 * 1024


class BodyLimit:
    """Answers 413 to larger bodies; files have a limit of their own."""

    def __init__(self, app: ASGIApp, limit_bytes: int, artifact_limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._artifact_limit_bytes = artifact_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with a counting `receive`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Whatever is put is a file, and streamed to the disk.
        is_file = scope["method"] == "PUT"
        limit = self._artifact_limit_bytes if is_file else self._limit_bytes
        error = TooLarge(
            f"The body is larger than the {limit} bytes taken here.",
            field="document",
            remedy="Send less, or split it.",
        )
        announced = _announced_length(scope)
        if announced is not None and announced > limit:
            await _drain(receive)
            await problem_response(error)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit:
                    raise error
            return message

        await self._app(scope, counted, send)


def _announced_length(scope: Scope) -> int | None:
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else None


async def _drain(receive: Receive) -> None:
    # A client that is still sending when the connection closes never sees the answer.
    drained = 0
    while drained < _DRAIN_BYTES:
        message = await receive()
        drained += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
