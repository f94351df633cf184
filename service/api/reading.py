"""What reading routes share: the database, the page parameters and the ETag."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from starlette.responses import Response

from search_spaces.registry import Registry
from service.settings import Settings
from service.storage.database import Database


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


DatabaseOf = Annotated[Database, Depends(_database)]
RegistryOf = Annotated[Registry, Depends(_registry)]
SettingsOf = Annotated[Settings, Depends(_settings)]

ExperimentKey = Annotated[
    str, Path(description="The experiment's id or name.", min_length=1, max_length=200)
]
TrialNumber = Annotated[int, Path(ge=0, le=2**31 - 1, description="Counts from 0.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Items on one page.")]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next_cursor` of the page before.")
]

_FRESH = {"Cache-Control": "private, no-cache"}


def entity_tag(*parts: object) -> str:
    """A strong ETag of these parts."""
    return f'"{".".join(str(part) for part in parts)}"'


def not_modified(request: Request, tag: str) -> Response | None:
    """304 if the client's copy is the current one."""
    given = request.headers.get("if-none-match", "")
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    if tag in tags or given.strip() == "*":
        return Response(status_code=304, headers={"ETag": tag, **_FRESH})
    return None


def tagged(response: Response, tag: str) -> None:
    """Marks the response with its ETag; a cache must ask before it serves it again."""
    response.headers["ETag"] = tag
    response.headers.update(_FRESH)
