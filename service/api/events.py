"""Events: the append-only record, as pages of JSON or as a live stream (SSE)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from service.api.changes import ChangeWatch
from service.api.guard import needs
from service.api.reading import DatabaseOf, Limit, SettingsOf
from service.api.strict_route import StrictRoute
from service.domain.errors import InvalidRequest
from service.schemas.events import EventView
from service.schemas.pages import Page
from service.settings import Settings
from service.storage.database import Database
from service.storage.experiments import find_experiment
from service.use_cases.read_events import events_after

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=StrictRoute)

_LARGEST_ID = 2**63 - 1
_PER_READ = 200
_RETRY_MS = 2_000
_LOOK_UP_S = 1.0


@router.get(
    "",
    operation_id="read_events",
    response_model=Page[EventView],
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    dependencies=[needs("read")],
)
async def read(
    request: Request,
    database: DatabaseOf,
    settings: SettingsOf,
    limit: Limit = 100,
    after: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None,
    experiment: Annotated[str | None, Query(max_length=200)] = None,
    last_event_id: Annotated[str | None, Header(max_length=30)] = None,
) -> Response | Page[EventView]:
    """What happened after event `after` (or `Last-Event-ID`), in order.

    With `Accept: text/event-stream` the answer goes on with what happens from now on (from
    the given event on, if there is one), until `stream_time_limit_s`; reconnecting with
    `Last-Event-ID` misses nothing.
    """
    resumed = _last_id(last_event_id)
    start = resumed if resumed is not None else after

    def experiment_id() -> str | None:
        if experiment is None:
            return None
        with database.read() as connection:
            return find_experiment(connection, experiment).id

    wanted = await run_in_threadpool(experiment_id)
    if "text/event-stream" in request.headers.get("accept", ""):
        streams: ChangeWatch = request.app.state.streams
        streams.refuse_if_full()
        first = start if start is not None else await streams.newest()
        return StreamingResponse(
            streams_body(request, streams, database, settings, first, wanted),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
    found = await run_in_threadpool(_read, database, start or 0, wanted, limit)
    return Page(items=tuple(found), next_cursor=str(found[-1].id) if found else None)


def _last_id(given: str | None) -> int | None:
    if given is None or given == "":
        return None
    if not given.isascii() or not given.isdecimal() or int(given) > _LARGEST_ID:
        raise InvalidRequest(
            f"Last-Event-ID {given!r} is no event's id.",
            field="header.Last-Event-ID",
            remedy="Send the id of the last event received, or leave the header out.",
        )
    return int(given)


def _read(database: Database, after: int, experiment_id: str | None, limit: int) -> list[EventView]:
    with database.read() as connection:
        return events_after(connection, after, experiment_id=experiment_id, limit=limit)


async def streams_body(
    request: Request,
    streams: ChangeWatch,
    database: Database,
    settings: Settings,
    after: int,
    experiment_id: str | None,
) -> AsyncIterator[str]:
    """The stream's text: events with their ids, and a comment now and then to keep it alive."""
    loop = asyncio.get_running_loop()
    end = loop.time() + settings.stream_time_limit_s
    alive_at = loop.time()
    with streams.place():
        yield f"retry: {_RETRY_MS}\n\n"
        seen = after
        while not streams.is_closing() and loop.time() < end:
            newest = await streams.newest()
            while found := await run_in_threadpool(_read, database, seen, experiment_id, _PER_READ):
                yield "".join(_text(event) for event in found)
                seen, alive_at = found[-1].id, loop.time()
            if loop.time() - alive_at >= settings.keep_alive_s:
                yield ": alive\n\n"
                alive_at = loop.time()
            # Events of other experiments also raise `newest`; they need no second read.
            while not await streams.beyond(newest, _LOOK_UP_S):
                late = loop.time() >= min(end, alive_at + settings.keep_alive_s)
                if late or streams.is_closing() or await request.is_disconnected():
                    break
            if await request.is_disconnected():
                return


def _text(event: EventView) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n"
