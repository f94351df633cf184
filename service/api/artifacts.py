"""Artifacts: files addressed by their SHA-256, in raw bytes."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from service.api.deeds import json_response
from service.api.guard import needs
from service.api.reading import DatabaseOf, SettingsOf
from service.api.received_file import RAW_BODY, received_file
from service.api.strict_route import StrictRoute
from service.schemas.artifacts import ArtifactView
from service.storage.artifacts import ArtifactStore
from service.use_cases.store_artifact import read_artifact, record_artifact, require_stored

router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"], route_class=StrictRoute)

Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.put(
    "/{sha256}",
    operation_id="upload_artifact",
    status_code=201,
    response_model=ArtifactView,
    dependencies=[needs("work")],
    openapi_extra=RAW_BODY,
)
async def upload(
    request: Request, database: DatabaseOf, settings: SettingsOf, sha256: Sha256
) -> Response:
    """Stores a file; again is harmless. Refused if the bytes have another SHA-256."""
    store: ArtifactStore = request.app.state.artifacts
    async with received_file(request) as received:

        def keep() -> ArtifactView:
            digest, size_bytes = store.put(received.pieces(), sha256, settings.artifact_limit_bytes)
            with database.write() as connection:
                view = record_artifact(connection, digest, size_bytes)
                require_stored(store, digest)
            return view

        view = await run_in_threadpool(keep)
    return json_response(view.model_dump_json(), 201)


@router.get(
    "/{sha256}",
    operation_id="download_artifact",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
    dependencies=[needs("read", "work")],
)
def download(request: Request, database: DatabaseOf, sha256: Sha256) -> Response:
    """The file's bytes."""
    store: ArtifactStore = request.app.state.artifacts
    with database.read() as connection:
        view = read_artifact(connection, sha256)
    return StreamingResponse(
        store.open(sha256),
        media_type="application/octet-stream",
        headers={
            "Content-Length": str(view.size_bytes),
            "Content-Disposition": f'attachment; filename="{sha256}"',
            "ETag": f'"{sha256}"',
            "Cache-Control": "private, max-age=31536000, immutable",
        },
    )
