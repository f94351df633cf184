"""Alive, ready, and the metrics: open to probes without a token."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from service.api.reading import DatabaseOf
from service.api.strict_route import StrictRoute
from service.use_cases.read_events import newest_event_id

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/healthz", operation_id="check_alive", response_class=PlainTextResponse)
async def check_alive() -> str:
    """The process answers."""
    return "alive\n"


@router.get("/readyz", operation_id="check_ready", response_class=PlainTextResponse)
def check_ready(database: DatabaseOf) -> str:
    """The database can be reached and has this release's tables; else 503."""
    with database.read() as connection:
        newest_event_id(connection)
    return "ready\n"


@router.get("/metrics", operation_id="read_metrics", response_class=PlainTextResponse)
def read_metrics(request: Request) -> Response:
    """Prometheus metrics of this process and of the fleet."""
    return Response(generate_latest(request.app.state.metrics), media_type=CONTENT_TYPE_LATEST)
