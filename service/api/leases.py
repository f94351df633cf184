"""Leases: claim with long poll, heartbeat, checkpoint, and the three ways to report."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from service.api.changes import ChangeWatch
from service.api.deeds import DeedOf, json_response
from service.api.examples import CLAIM_EXAMPLES, COMPLETE_EXAMPLES, FAIL_EXAMPLES
from service.api.guard import needs, principal_of
from service.api.lane import Lane
from service.api.own_worker import ONLY_OWN
from service.api.reading import DatabaseOf, SettingsOf
from service.api.received_file import RAW_BODY, received_file
from service.api.strict_route import StrictRoute
from service.domain.errors import ArchfrontError
from service.schemas.leases import (
    CheckpointReference,
    ClaimRequest,
    CompleteRequest,
    FailRequest,
    Heartbeat,
    HeartbeatReply,
    InfeasibleRequest,
    LeaseGrant,
    ReportReply,
)
from service.storage.artifacts import ArtifactStore
from service.storage.checkpoints import forget_checkpoint
from service.use_cases.keep_checkpoint import (
    announce_checkpoint,
    keep_checkpoint,
    read_checkpoint,
)
from service.use_cases.lease_trial import lease_trial
from service.use_cases.own_worker import require_own_session
from service.use_cases.record_report import record_complete, record_failure, record_infeasible
from service.use_cases.renew_lease import renew_lease
from service.use_cases.store_artifact import require_stored

router = APIRouter(
    prefix="/v1/leases",
    tags=["leases"],
    route_class=StrictRoute,
    dependencies=[needs("work"), ONLY_OWN],
)

LeaseId = Annotated[str, Path(max_length=200)]


async def _reports(request: Request) -> Lane:
    lane: Lane = request.app.state.reports
    return lane


ReportsOf = Annotated[Lane, Depends(_reports)]


@router.post(
    "",
    operation_id="claim_lease",
    status_code=201,
    response_model=LeaseGrant,
    responses={204: {"description": "Nothing to do came up within `wait_s`."}},
)
async def claim(
    request: Request,
    deed: DeedOf,
    settings: SettingsOf,
    claim: Annotated[ClaimRequest, Body(openapi_examples=CLAIM_EXAMPLES)],
) -> Response:
    """The next stage this worker can work off, waiting up to `wait_s` for one.

    With an idempotency key a claim whose answer was lost gives the same lease again.
    """
    watch: ChangeWatch = request.app.state.watch
    own = principal_of(request).worker

    def lease(connection: Connection) -> LeaseGrant | None:
        require_own_session(connection, own, claim.worker_id)
        return lease_trial(connection, claim.worker_id, settings.times)

    def attempt() -> Response | None:
        return deed.attempt(lease, 201)

    granted = await watch.until(request, attempt, claim.wait_s)
    return granted if granted is not None else Response(status_code=204)


@router.post("/{lease_id}/heartbeat", operation_id="renew_lease", response_model=HeartbeatReply)
def renew(deed: DeedOf, settings: SettingsOf, lease_id: LeaseId, heartbeat: Heartbeat) -> Response:
    """Renews the lease, keeps curve and log, and says whether to go on."""
    return deed.once(
        lambda connection: renew_lease(connection, lease_id, heartbeat, settings.times)
    )


@router.put(
    "/{lease_id}/checkpoint",
    operation_id="keep_checkpoint",
    response_model=CheckpointReference,
    openapi_extra=RAW_BODY,
)
async def keep(
    request: Request,
    database: DatabaseOf,
    settings: SettingsOf,
    lease_id: LeaseId,
    epoch: Annotated[int, Query(ge=1, le=2**31 - 1)],
    step: Annotated[int, Query(ge=0, le=2**53)],
    sha256: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")],
) -> Response:
    """Keeps a training's state after `step` steps, by the holder of the newest lease only.

    The stage's next lease names it; an earlier one is deleted, and all are once the stage ends.
    """
    store: ArtifactStore = request.app.state.artifacts
    async with received_file(request) as received:

        def store_it() -> CheckpointReference:
            offered = CheckpointReference(step=step, sha256=sha256, size_bytes=received.size_bytes)
            with database.write() as connection:
                arriving = announce_checkpoint(connection, lease_id, epoch, offered)
                if arriving is None:
                    return read_checkpoint(connection, lease_id, epoch)
            try:
                store.put(received.pieces(), sha256, settings.artifact_limit_bytes)
            except ArchfrontError:
                with database.write() as connection:
                    forget_checkpoint(connection, arriving)
                raise
            with database.write() as connection:
                kept = keep_checkpoint(connection, arriving, epoch)
                require_stored(store, sha256)
            return kept

        kept = await run_in_threadpool(store_it)
    return json_response(kept.model_dump_json(), 200)


@router.post("/{lease_id}/complete", operation_id="complete_lease", response_model=ReportReply)
async def complete(
    reports: ReportsOf,
    deed: DeedOf,
    lease_id: LeaseId,
    report: Annotated[CompleteRequest, Body(openapi_examples=COMPLETE_EXAMPLES)],
) -> Response:
    """Records the stage's result, by the holder of the newest lease only."""
    return await reports.run(
        lambda: deed.once(lambda connection: record_complete(connection, lease_id, report))
    )


@router.post("/{lease_id}/fail", operation_id="fail_lease", response_model=ReportReply)
async def fail(
    reports: ReportsOf,
    deed: DeedOf,
    lease_id: LeaseId,
    report: Annotated[FailRequest, Body(openapi_examples=FAIL_EXAMPLES)],
) -> Response:
    """Records that the attempt failed, and whose fault it was."""
    return await reports.run(
        lambda: deed.once(lambda connection: record_failure(connection, lease_id, report))
    )


@router.post("/{lease_id}/infeasible", operation_id="infeasible_lease", response_model=ReportReply)
async def infeasible(
    reports: ReportsOf, deed: DeedOf, lease_id: LeaseId, report: InfeasibleRequest
) -> Response:
    """Records that the arm itself is at fault; it will not be tried again."""
    return await reports.run(
        lambda: deed.once(lambda connection: record_infeasible(connection, lease_id, report))
    )
