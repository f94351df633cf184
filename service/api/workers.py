"""Workers: register, say how they are, list and read."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response

from service.api.deeds import DeedOf
from service.api.examples import WORKER_EXAMPLES
from service.api.guard import needs, principal_of
from service.api.reading import DatabaseOf, SettingsOf
from service.api.strict_route import StrictRoute
from service.schemas.pages import Page
from service.schemas.workers import (
    WorkerRegistered,
    WorkerRegistration,
    WorkerStatusChange,
    WorkerView,
)
from service.use_cases.list_workers import list_workers, read_worker
from service.use_cases.register_worker import change_worker_status, register_worker

router = APIRouter(prefix="/v1/workers", tags=["workers"], route_class=StrictRoute)

WorkerId = Annotated[str, Path(max_length=200)]


@router.post(
    "",
    operation_id="register_worker",
    status_code=201,
    response_model=WorkerRegistered,
    dependencies=[needs("work")],
)
def register(
    request: Request,
    deed: DeedOf,
    settings: SettingsOf,
    registration: Annotated[WorkerRegistration, Body(openapi_examples=WORKER_EXAMPLES)],
) -> Response:
    """Registers a worker, or its new session; the reply dictates the intervals."""
    token_id = principal_of(request).token_id
    return deed.once(
        lambda connection: register_worker(connection, registration, token_id, settings.times), 201
    )


@router.post(
    "/{worker_id}/status",
    operation_id="change_worker_status",
    response_model=WorkerView,
    dependencies=[needs("work")],
)
def change_status(deed: DeedOf, worker_id: WorkerId, change: WorkerStatusChange) -> Response:
    """The worker drains, has stopped, or is back."""
    return deed.once(lambda connection: change_worker_status(connection, worker_id, change))


@router.get("", operation_id="list_workers", dependencies=[needs("read")])
def list_all(database: DatabaseOf) -> Page[WorkerView]:
    """The fleet as it stands, by name."""
    with database.read() as connection:
        return Page(items=tuple(list_workers(connection)))


@router.get("/{worker_id}", operation_id="read_worker", dependencies=[needs("read")])
def read(database: DatabaseOf, worker_id: WorkerId) -> WorkerView:
    """One worker."""
    with database.read() as connection:
        return read_worker(connection, worker_id)
