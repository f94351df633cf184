"""A light HTTP/1.1 client: fifty of them in one process must not be what is measured."""

import asyncio
import json
import uuid
from typing import Any


class Refused(RuntimeError):
    """The server answered with an error."""


class Connection:
    """One kept-alive connection to the server, one request at a time."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port, self._token = host, port, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a POST with an idempotency key of its own; None for 204.

        Raises: Refused.
        """
        return await self._exchange("POST", path, json.dumps(body).encode())

    async def get(self, path: str) -> dict[str, Any] | None:
        """The answer to a GET. Raises: Refused."""
        return await self._exchange("GET", path, b"")

    async def close(self) -> None:
        """Ends the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, method: str, path: str, body: bytes) -> dict[str, Any] | None:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
            f"Idempotency-Key: {uuid.uuid4().hex}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        status, length = _head(await reader.readuntil(b"\r\n\r\n"))
        text = await reader.readexactly(length)
        if status >= 400:
            raise Refused(f"{method} {path}: {status} {text.decode()[:500]}")
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
