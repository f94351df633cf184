"""Trials: list, read, stop, requeue, attach by hand, and ask/tell for loops elsewhere."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, StreamingResponse

from service.api.changes import ChangeWatch
from service.api.deeds import DeedOf
from service.api.examples import ATTACH_EXAMPLES, TELL_EXAMPLES
from service.api.guard import needs, principal_of
from service.api.reading import (
    Cursor,
    DatabaseOf,
    ExperimentKey,
    Limit,
    TrialNumber,
    entity_tag,
    not_modified,
    tagged,
)
from service.api.strict_route import StrictRoute
from service.api.trials_csv import csv_lines
from service.domain.errors import NoCandidateReady
from service.domain.objective import OutcomeConstraint
from service.domain.trial import Trial, TrialStatus
from service.schemas.documents import DocumentInvalid
from service.schemas.pages import Page
from service.schemas.trials import (
    AskReply,
    AskRequest,
    AttachRequest,
    StopRequest,
    TellRequest,
    TrialDetail,
)
from service.schemas.validation import field_problems
from service.storage.experiments import find_experiment
from service.use_cases.ask_trial import ask_trial
from service.use_cases.attach_trial import attach_trial
from service.use_cases.list_trials import all_trials, list_trials
from service.use_cases.read_trial import read_log, read_trial
from service.use_cases.requeue_trial import requeue_trial
from service.use_cases.stop_trial import stop_trial
from service.use_cases.tell_trial import tell_trial

router = APIRouter(
    prefix="/v1/experiments/{experiment_id}", tags=["trials"], route_class=StrictRoute
)

_BOUNDS: TypeAdapter[tuple[OutcomeConstraint, ...]] = TypeAdapter(tuple[OutcomeConstraint, ...])


@router.get(
    "/trials",
    operation_id="list_trials",
    response_model=Page[Trial],
    dependencies=[needs("read")],
)
def list_page(
    database: DatabaseOf,
    request: Request,
    response: Response,
    experiment_id: ExperimentKey,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Annotated[list[TrialStatus] | None, Query()] = None,
    source: Annotated[str | None, Query(max_length=50)] = None,
    sort: Annotated[
        str,
        Query(max_length=201, description="number, created_at, ended_at or a metric; - descends."),
    ] = "number",
    where: Annotated[
        list[str], Query(max_length=20, description="Bounds such as `latency_ms <= 5`.")
    ] = [],  # noqa: B006  (FastAPI copies it)
) -> Page[Trial] | Response:
    """The trials, page by page; those without the metric sorted by come last."""
    bounds = _bounds(where)
    with database.read() as connection:
        experiment = find_experiment(connection, experiment_id)
        tag = entity_tag(experiment.id, experiment.data_version)
        unchanged = not_modified(request, tag)
        if unchanged is not None:
            return unchanged
        page = list_trials(
            connection,
            experiment.id,
            limit=limit,
            cursor=cursor,
            status=status,
            source=source,
            sort=sort,
            where=bounds,
        )
    tagged(response, tag)
    return page


def _bounds(where: Sequence[str]) -> tuple[OutcomeConstraint, ...]:
    try:
        return _BOUNDS.validate_python(tuple(where))
    except ValidationError as error:
        rooted = [
            {**one, "loc": ("query", "where", *one["loc"])}
            for one in error.errors(include_url=False)
        ]
        document = {"query": {"where": list(where)}}
        raise DocumentInvalid(field_problems(rooted, None, document)) from None  # type: ignore[arg-type]


@router.get("/trials.csv", operation_id="download_trials", dependencies=[needs("read")])
def download(database: DatabaseOf, request: Request, experiment_id: ExperimentKey) -> Response:
    """All trials as CSV, parameters and measurements as columns."""
    with database.read() as connection:
        experiment = find_experiment(connection, experiment_id)
        tag = entity_tag(experiment.id, experiment.data_version)
        unchanged = not_modified(request, tag)
        if unchanged is not None:
            return unchanged
        trials = all_trials(connection, experiment.id)
    response = StreamingResponse(csv_lines(experiment, trials), media_type="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{experiment.spec.name}.csv"'
    tagged(response, tag)
    return response


@router.get("/trials/{number}", operation_id="read_trial", dependencies=[needs("read")])
def read(database: DatabaseOf, experiment_id: ExperimentKey, number: TrialNumber) -> TrialDetail:
    """One trial with its attempts, learning curves and artifacts."""
    with database.read() as connection:
        return read_trial(connection, find_experiment(connection, experiment_id).id, number)


@router.get(
    "/trials/{number}/log",
    operation_id="read_trial_log",
    response_class=PlainTextResponse,
    dependencies=[needs("read")],
)
def read_its_log(
    database: DatabaseOf,
    experiment_id: ExperimentKey,
    number: TrialNumber,
    stage: Annotated[str | None, Query(max_length=200)] = None,
    lease_id: Annotated[str | None, Query(max_length=200)] = None,
    offset: Annotated[int, Query(ge=0, le=2**53, description="Characters to leave out.")] = 0,
) -> str:
    """The log of one attempt: of the lease, else of the newest attempt (at the stage)."""
    with database.read() as connection:
        return read_log(
            connection,
            find_experiment(connection, experiment_id).id,
            number,
            stage=stage,
            lease_id=lease_id,
            offset=offset,
        )


@router.post(
    "/trials",
    operation_id="attach_trial",
    status_code=201,
    response_model=Trial,
    dependencies=[needs("write")],
)
def attach(
    deed: DeedOf,
    experiment_id: ExperimentKey,
    attached: Annotated[AttachRequest, Body(openapi_examples=ATTACH_EXAMPLES)],
) -> Response:
    """Adds an arm chosen by hand, with its results or to be run next; consumes budget."""

    def act(connection: Connection) -> Trial:
        return attach_trial(connection, find_experiment(connection, experiment_id).id, attached)

    return deed.once(act, 201)


@router.post(
    "/trials/{number}/stop",
    operation_id="stop_trial",
    response_model=Trial,
    dependencies=[needs("write")],
)
def stop(
    deed: DeedOf,
    experiment_id: ExperimentKey,
    number: TrialNumber,
    stopping: StopRequest = StopRequest(),  # noqa: B008  (frozen)
) -> Response:
    """Cancels a candidate; tells a running trial to stop early."""

    def act(connection: Connection) -> Trial:
        experiment = find_experiment(connection, experiment_id)
        return stop_trial(connection, experiment.id, number, stopping.reason)

    return deed.once(act)


@router.post(
    "/trials/{number}/requeue",
    operation_id="requeue_trial",
    response_model=Trial,
    dependencies=[needs("write")],
)
def requeue(deed: DeedOf, experiment_id: ExperimentKey, number: TrialNumber) -> Response:
    """Gives a failed or cancelled trial another chance."""

    def act(connection: Connection) -> Trial:
        return requeue_trial(connection, find_experiment(connection, experiment_id).id, number)

    return deed.once(act)


@router.post(
    "/ask", operation_id="ask_trial", response_model=AskReply, dependencies=[needs("write")]
)
async def ask(
    request: Request, deed: DeedOf, experiment_id: ExperimentKey, asked: AskRequest
) -> Response:
    """The next candidate to evaluate elsewhere, waiting up to `wait_s` for one; then 409."""
    watch: ChangeWatch = request.app.state.watch
    token_id = principal_of(request).token_id
    last: NoCandidateReady | None = None

    def act(connection: Connection) -> AskReply:
        experiment = find_experiment(connection, experiment_id)
        return ask_trial(connection, experiment.id, asked, token_id)

    def attempt() -> Response | None:
        nonlocal last
        try:
            return deed.once(act)
        except NoCandidateReady as error:
            last = error
            return None

    given = await watch.until(request, attempt, asked.wait_s)
    if given is None:
        raise last or NoCandidateReady()
    return given


@router.post(
    "/tell", operation_id="tell_trial", response_model=Trial, dependencies=[needs("write")]
)
def tell(
    deed: DeedOf,
    experiment_id: ExperimentKey,
    told: Annotated[TellRequest, Body(openapi_examples=TELL_EXAMPLES)],
) -> Response:
    """The outcome of an asked trial."""

    def act(connection: Connection) -> Trial:
        return tell_trial(connection, find_experiment(connection, experiment_id).id, told)

    return deed.once(act)
