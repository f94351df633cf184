"""A light HTTP/1.1 client: fifty of them in one process must not be what is measured."""

import asyncio
import json
import uuid
from typing import Any


class Refused(RuntimeError):
    """The server answered with an error, of this HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ServerAway(RuntimeError):
    """Nobody answers: the connection was refused, or broke off."""


class Connection:
    """One kept-alive connection to the server, one request at a time; made anew after a break."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port, self._token = host, port, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(
        self, path: str, body: dict[str, Any], key: str | None = None
    ) -> dict[str, Any] | None:
        """The answer to a POST; None for 204.

        key: its idempotency key; one of its own unless given, none if empty.
        Raises: Refused, ServerAway.
        """
        key = uuid.uuid4().hex if key is None else key
        return await self._exchange("POST", path, json.dumps(body).encode(), key)

    async def get(self, path: str) -> dict[str, Any] | None:
        """The answer to a GET. Raises: Refused, ServerAway."""
        return await self._exchange("GET", path, b"", "")

    async def close(self) -> None:
        """Ends the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(
        self, method: str, path: str, body: bytes, key: str
    ) -> dict[str, Any] | None:
        named = f"Idempotency-Key: {key}\r\n" if key else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
            f"{named}Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            if self._streams is None or self._streams[0].at_eof():  # it was idle for too long
                await self.close()
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(head.encode() + body)
            status, length = _head(await reader.readuntil(b"\r\n\r\n"))
            text = await reader.readexactly(length)
        except (OSError, EOFError) as error:
            await self.close()
            raise ServerAway(f"{method} {path}: {error!r}") from error
        if status >= 400:
            raise Refused(status, f"{method} {path}: {status} {text.decode()[:500]}")
        return json.loads(text) if text else None


def _head(head: bytes) -> tuple[int, int]:
    """Status and length of the body."""
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ", 2)[1])
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return status, int(value)
    return status, 0
