"""Workers: register, say how they are, list and read."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response

from service.api.deeds import DeedOf, json_response
from service.api.examples import WORKER_EXAMPLES
from service.api.guard import needs, principal_of, secret_of
from service.api.own_worker import ONLY_OWN
from service.api.reading import DatabaseOf, SettingsOf
from service.api.strict_route import StrictRoute
from service.schemas.pages import Page
from service.schemas.workers import (
    WorkerEnrolled,
    WorkerEnrollment,
    WorkerPause,
    WorkerRegistered,
    WorkerRegistration,
    WorkerStatusChange,
    WorkerView,
)
from service.use_cases.enroll_worker import enroll_worker
from service.use_cases.hold_worker import pause_worker, resume_worker
from service.use_cases.list_workers import list_workers, read_worker
from service.use_cases.own_worker import require_own_name
from service.use_cases.register_worker import change_worker_status, register_worker

router = APIRouter(prefix="/v1/workers", tags=["workers"], route_class=StrictRoute)

WorkerId = Annotated[str, Path(max_length=200)]
WorkerKey = Annotated[str, Path(max_length=200, description="Its name, or the id of a session.")]


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
    principal = principal_of(request)
    require_own_name(principal.worker, registration.name)
    return deed.once(
        lambda connection: register_worker(
            connection, registration, principal.token_id, settings.times
        ),
        201,
    )


@router.post(
    "/enroll",
    operation_id="enroll_worker",
    status_code=201,
    response_model=WorkerEnrolled,
    dependencies=[needs("enroll")],
)
def enroll(request: Request, database: DatabaseOf, enrollment: WorkerEnrollment) -> Response:
    """Trades a one-use token for the worker's own; a second worker is refused.

    The same session gets the same answer again: no idempotency key is needed, and no secret kept.
    """
    token_id, secret = principal_of(request).token_id, secret_of(request)
    with database.write() as connection:
        enrolled = enroll_worker(connection, token_id, secret, enrollment)
    return json_response(enrolled.model_dump_json(), 201)


@router.post(
    "/{worker_id}/status",
    operation_id="change_worker_status",
    response_model=WorkerView,
    dependencies=[needs("work"), ONLY_OWN],
)
def change_status(deed: DeedOf, worker_id: WorkerId, change: WorkerStatusChange) -> Response:
    """The worker drains, has stopped, or is back."""
    return deed.once(lambda connection: change_worker_status(connection, worker_id, change))


@router.post(
    "/{worker}/pause",
    operation_id="pause_worker",
    response_model=WorkerView,
    dependencies=[needs("write")],
)
def pause(deed: DeedOf, worker: WorkerKey, wanted: WorkerPause) -> Response:
    """The worker is given nothing new for a while; what it holds goes on."""
    return deed.once(lambda connection: pause_worker(connection, worker, wanted))


@router.post(
    "/{worker}/resume",
    operation_id="resume_worker",
    response_model=WorkerView,
    dependencies=[needs("write")],
)
def resume(deed: DeedOf, worker: WorkerKey) -> Response:
    """Ends a pause, or a quarantine that repeated failures of its machine have led to."""
    return deed.once(lambda connection: resume_worker(connection, worker))


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
