"""Receives a file whole before a thread takes it: a slow sender holds no thread, no connection."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

_CHUNK_BYTES = 1024 * 1024

RAW_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""How OpenAPI describes such a request."""


@dataclass(frozen=True)
class ReceivedFile:
    """The bytes of a request's body, until the block around it is left."""

    file: IO[bytes]
    size_bytes: int

    def pieces(self) -> Iterator[bytes]:
        """All bytes, from the first on."""
        self.file.seek(0)
        while chunk := self.file.read(_CHUNK_BYTES):
            yield chunk


@asynccontextmanager
async def received_file(request: Request) -> AsyncIterator[ReceivedFile]:
    """The request's body as a file."""
    with tempfile.SpooledTemporaryFile(max_size=_CHUNK_BYTES) as received:
        async for chunk in request.stream():
            await run_in_threadpool(received.write, chunk)
        yield ReceivedFile(received, received.tell())
