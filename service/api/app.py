"""The API process: its routers, and the layers that every request passes through."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from anyio import to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from starlette.responses import HTMLResponse

from search_spaces.registry import Registry, installed_registry
from service.api import (
    artifacts,
    events,
    experiments,
    fleet,
    fronts,
    health,
    leases,
    openapi,
    problems,
    search_spaces,
    tokens,
    trials,
    workers,
)
from service.api.body_limit import BodyLimit
from service.api.changes import ChangeWatch
from service.api.docs_page import PAGE_POLICY, docs_page
from service.api.fleet_metrics import FleetMetrics
from service.api.guard import Guard
from service.api.lane import Lane
from service.api.telemetry import Telemetry
from service.background.early_stopper import stopping_early
from service.background.lease_reaper import reaping
from service.settings import Settings
from service.storage.artifacts import ArtifactStore
from service.storage.database import Database
from service.use_cases.instant_candidate import warm_up

_ROUTERS = tuple(
    module.router
    for module in (
        experiments,
        trials,
        fronts,
        search_spaces,
        workers,
        fleet,
        leases,
        artifacts,
        events,
        tokens,
        health,
    )
)

_THREADS = 100
"""So many requests are worked on at once; most of these wait for their turn to write."""

_REPORTS_AT_ONCE = 4


def create_app(
    settings: Settings, database: Database | None = None, registry: Registry | None = None
) -> FastAPI:
    """The API over one database, which must be migrated already (`Database.upgrade`).

    database, registry: those of the settings and of the installed packages unless given. A
    database given is the caller's to dispose.
    """
    owned = database is None
    database = database or Database(settings.database)
    app = FastAPI(
        title="archfront",
        version=_version(),
        description="Multi-objective architecture search as a service: the best accuracy at each "
        "on-device latency.",
        lifespan=_lifespan(settings, database, dispose=owned),
        docs_url=None,
        redoc_url=None,
        responses=openapi.RESPONSES,
        strict_content_type=False,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.registry = registry if registry is not None else installed_registry()
    app.state.artifacts = ArtifactStore(settings.artifacts)
    app.state.metrics = CollectorRegistry()
    app.state.watch = ChangeWatch(database, settings.change_poll_s, settings.long_poll_limit)
    app.state.reports = Lane(_REPORTS_AT_ONCE)
    app.state.streams = ChangeWatch(database, settings.change_poll_s, settings.stream_limit)
    FleetMetrics(database, app.state.metrics)
    problems.install(app, api_routes())
    openapi.install(app, api_routes())
    for router in _ROUTERS:
        app.include_router(router)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        page = docs_page(app.openapi())
        return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY})

    # The last added is the outermost.
    app.add_middleware(
        BodyLimit,
        limit_bytes=settings.body_limit_bytes,
        artifact_limit_bytes=settings.artifact_limit_bytes,
    )
    app.add_middleware(Guard, database=database)
    app.add_middleware(Telemetry, registry=app.state.metrics)
    return app


def api_routes() -> list[APIRoute]:
    """Every route of the API."""
    return [route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def close_waiting(app: FastAPI) -> None:
    """Lets long polls and event streams end, so that the server can stop soon."""
    app.state.watch.close()
    app.state.streams.close()


def _lifespan(
    settings: Settings, database: Database, *, dispose: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        # Beside the first requests: the first claim is not to pay for the imports.
        app.state.warm = asyncio.create_task(asyncio.to_thread(warm_up))
        times = settings.times
        store = app.state.artifacts
        async with reaping(database, store, times), stopping_early(database, times.reap_s):
            yield
        await app.state.warm
        close_waiting(app)
        if dispose:
            database.dispose()

    return lifespan


def _version() -> str:
    try:
        return version("archfront")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0.0.0"
