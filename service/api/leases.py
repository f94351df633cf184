"""Leases: claim with long poll, heartbeat, and the three ways to report."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response

from service.api.changes import ChangeWatch
from service.api.deeds import DeedOf
from service.api.examples import CLAIM_EXAMPLES, COMPLETE_EXAMPLES, FAIL_EXAMPLES
from service.api.guard import needs
from service.api.reading import SettingsOf
from service.api.strict_route import StrictRoute
from service.schemas.leases import (
    ClaimRequest,
    CompleteRequest,
    FailRequest,
    Heartbeat,
    HeartbeatReply,
    InfeasibleRequest,
    LeaseGrant,
    ReportReply,
)
from service.use_cases.lease_trial import lease_trial
from service.use_cases.record_report import record_complete, record_failure, record_infeasible
from service.use_cases.renew_lease import renew_lease

router = APIRouter(
    prefix="/v1/leases", tags=["leases"], route_class=StrictRoute, dependencies=[needs("work")]
)

LeaseId = Annotated[str, Path(max_length=200)]


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

    def attempt() -> Response | None:
        return deed.attempt(
            lambda connection: lease_trial(connection, claim.worker_id, settings.times), 201
        )

    granted = await watch.until(request, attempt, claim.wait_s)
    return granted if granted is not None else Response(status_code=204)


@router.post("/{lease_id}/heartbeat", operation_id="renew_lease", response_model=HeartbeatReply)
def renew(deed: DeedOf, settings: SettingsOf, lease_id: LeaseId, heartbeat: Heartbeat) -> Response:
    """Renews the lease, keeps curve and log, and says whether to go on."""
    return deed.once(
        lambda connection: renew_lease(connection, lease_id, heartbeat, settings.times)
    )


@router.post("/{lease_id}/complete", operation_id="complete_lease", response_model=ReportReply)
def complete(
    deed: DeedOf,
    lease_id: LeaseId,
    report: Annotated[CompleteRequest, Body(openapi_examples=COMPLETE_EXAMPLES)],
) -> Response:
    """Records the stage's result, by the holder of the newest lease only."""
    return deed.once(lambda connection: record_complete(connection, lease_id, report))


@router.post("/{lease_id}/fail", operation_id="fail_lease", response_model=ReportReply)
def fail(
    deed: DeedOf,
    lease_id: LeaseId,
    report: Annotated[FailRequest, Body(openapi_examples=FAIL_EXAMPLES)],
) -> Response:
    """Records that the attempt failed, and whose fault it was."""
    return deed.once(lambda connection: record_failure(connection, lease_id, report))


@router.post("/{lease_id}/infeasible", operation_id="infeasible_lease", response_model=ReportReply)
def infeasible(deed: DeedOf, lease_id: LeaseId, report: InfeasibleRequest) -> Response:
    """Records that the arm itself is at fault; it will not be tried again."""
    return deed.once(lambda connection: record_infeasible(connection, lease_id, report))
