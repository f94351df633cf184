"""Around every request: an id, a log line, metrics, security headers, and a last resort."""

import logging
import time
import uuid

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import plain_response

_LOG = logging.getLogger("archfront.access")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Telemetry:
    """The outermost layer: nothing that goes wrong further in leaves without an answer."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "archfront_http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._latencies = Histogram(
            "archfront_http_request_seconds",
            "Time to the first byte of the answer; long polls wait on purpose.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and records what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex[:16]
        started_s = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                self._record(scope, status, time.perf_counter() - started_s, request_id)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            _LOG.exception(
                "a request failed unexpectedly",
                extra={"request_id": request_id, "route": _route(scope)},
            )
            if status:  # the answer is under way; the connection must break
                raise
            await plain_response(
                500, f"Something unforeseen happened; the server's log has it as {request_id}."
            )(scope, receive, watched)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        method, route = _method(scope), _route(scope)
        self._requests.labels(method, route, str(status)).inc()
        self._latencies.labels(method, route).observe(seconds)
        level = logging.DEBUG if route in _QUIET else logging.INFO
        _LOG.log(
            level,
            "%s %s %d",
            method,
            route,
            status,
            extra={"duration_ms": round(seconds * 1000, 1), "request_id": request_id},
        )


def _route(scope: Scope) -> str:
    """The route's template: the path itself may hold names, and would make endless labels."""
    route = scope.get("route")
    return getattr(route, "path", "unmatched")


def _method(scope: Scope) -> str:
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return scope["method"] if scope["method"] in known else "OTHER"
