"""Answers a probe whether this worker hears its server, while it runs."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from workers.contact import ServerContact
from workers.errors import WorkerSettingsInvalid

_logger = logging.getLogger(__name__)

_PATH = "/healthz"


@contextmanager
def answering_health(host: str, port: int | None, contact: ServerContact) -> Iterator[int | None]:
    """Answers `GET /healthz` while the block lasts; gives the port, a free one for 0.

    200 while the worker hears its server, 503 otherwise; the body is a `WorkerHealth`. Whoever
    reaches the port may ask: it tells nothing that is secret, and takes nothing.
    port: None answers nobody.
    Raises: WorkerSettingsInvalid if the address cannot be listened at.
    """
    if port is None:
        yield None
        return
    server = _listen(host, port, contact)
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    bound = int(server.server_address[1])
    _logger.info("Tells its health at %s port %d.", host, bound)
    try:
        yield bound
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingTCPServer):
    """A thread for each probe, so that one that hangs keeps no other waiting."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, contact: ServerContact) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.contact = contact
        super().__init__((host, port), _Probe)


class _Probe(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0  # seconds, for a request that never ends

    def do_GET(self) -> None:
        """Answers one probe."""
        if self.path != _PATH:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"Ask for {_PATH}.")
            return
        health = self.server.contact.health()
        body = health.model_dump_json().encode() + b"\n"
        self.send_response(HTTPStatus.OK if health.hears_server else HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
        """One line a probe, for those who look for it."""
        _logger.debug(format, *args)


def _listen(host: str, port: int, contact: ServerContact) -> _Server:
    try:
        return _Server(host.strip("[]"), port, contact)
    except OSError as error:
        raise WorkerSettingsInvalid(
            f"health_port: cannot listen at {host} port {port}: {error.strerror or error}.",
            field="health_port",
            remedy="Choose another --health-port or --health-host.",
        ) from None
