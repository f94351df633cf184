"""The front: as JSON, as a page, as a picture; its hypervolume; and the trial to pick."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection

from service.api.guard import needs
from service.api.reading import DatabaseOf, ExperimentKey, entity_tag, not_modified, tagged
from service.api.strict_route import StrictRoute
from service.domain.errors import InvalidRequest
from service.schemas.fronts import Front, HypervolumeTrace, Pick
from service.storage.database import Database
from service.storage.experiments import find_experiment
from service.use_cases.read_front import MAX_OTHERS, pick_trial, read_front, read_hypervolume

router = APIRouter(
    prefix="/v1/experiments/{experiment_id}",
    tags=["fronts"],
    route_class=StrictRoute,
    dependencies=[needs("read")],
)

MaxOthers = Annotated[
    int, Query(ge=0, le=MAX_OTHERS, description="Dominated trials shown at most.")
]
# The page carries a policy of its own that names its scripts; this adds what only a header can.
_PAGE_POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"


def _tag(connection: Connection, experiment_id: str) -> str:
    experiment = find_experiment(connection, experiment_id)
    return entity_tag(experiment.id, experiment.data_version)


@router.get("/pareto", operation_id="read_front", response_model=Front)
def read(
    database: DatabaseOf,
    request: Request,
    response: Response,
    experiment_id: ExperimentKey,
    max_others: MaxOthers = MAX_OTHERS,
) -> Front | Response:
    """The feasible non-dominated trials, and the others behind them."""
    with database.read() as connection:
        tag = _tag(connection, experiment_id)
        unchanged = not_modified(request, tag)
        if unchanged is not None:
            return unchanged
        front = read_front(connection, experiment_id, max_others)
    tagged(response, tag)
    return front


@router.get("/hypervolume", operation_id="read_hypervolume", response_model=HypervolumeTrace)
def read_trace(
    database: DatabaseOf, request: Request, response: Response, experiment_id: ExperimentKey
) -> HypervolumeTrace | Response:
    """How the hypervolume grew with the trials."""
    with database.read() as connection:
        tag = _tag(connection, experiment_id)
        unchanged = not_modified(request, tag)
        if unchanged is not None:
            return unchanged
        trace = read_hypervolume(connection, experiment_id)
    tagged(response, tag)
    return trace


@router.get(
    "/pareto.html",
    operation_id="read_front_page",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def read_page(database: DatabaseOf, request: Request, experiment_id: ExperimentKey) -> Response:
    """The front as one self-contained interactive page."""
    with database.read() as connection:
        tag = _tag(connection, experiment_id)
        unchanged = not_modified(request, tag)
        if unchanged is not None:
            return unchanged
        front = read_front(connection, experiment_id)
        trace = read_hypervolume(connection, experiment_id)
    from service.plots.front_page import front_html  # noqa: PLC0415  (plotly, only when asked for)

    response = Response(front_html(front, trace), media_type="text/html")
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    tagged(response, tag)
    return response


@router.get(
    "/pareto.svg",
    operation_id="read_front_svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}},
)
def read_svg(database: DatabaseOf, request: Request, experiment_id: ExperimentKey) -> Response:
    """The front as a vector picture."""
    from service.plots.front_image import front_svg  # noqa: PLC0415  (matplotlib, when asked for)

    return _picture(database, request, experiment_id, front_svg, "image/svg+xml")


@router.get(
    "/pareto.png",
    operation_id="read_front_png",
    response_class=Response,
    responses={200: {"content": {"image/png": {"schema": {"type": "string"}}}}},
)
def read_png(database: DatabaseOf, request: Request, experiment_id: ExperimentKey) -> Response:
    """The front as a picture."""
    from service.plots.front_image import front_png  # noqa: PLC0415  (matplotlib, when asked for)

    return _picture(database, request, experiment_id, front_png, "image/png")


def _picture(
    database: Database,
    request: Request,
    experiment_id: str,
    draw: Callable[[Front], bytes],
    media_type: str,
) -> Response:
    with database.read() as connection:
        tag = _tag(connection, experiment_id)
        unchanged = not_modified(request, tag)
        if unchanged is not None:
            return unchanged
        front = read_front(connection, experiment_id)
    response = Response(draw(front), media_type=media_type)
    # An SVG opened by itself may carry styles, never scripts.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    )
    tagged(response, tag)
    return response


@router.get(
    "/pick",
    operation_id="pick_trial",
    openapi_extra={
        "x-any-query": True,
        "parameters": [
            {
                "name": "budgets",
                "in": "query",
                "description": "One parameter per budgeted metric, such as `latency_ms=20`: at "
                "most where lower is better, else at least.",
                "style": "form",
                "explode": True,
                "schema": {"type": "object", "additionalProperties": {"type": "number"}},
                "example": {"latency_ms": 20},
            }
        ],
    },
)
def pick(database: DatabaseOf, request: Request, experiment_id: ExperimentKey) -> Pick:
    """The best trial within budgets, the alternatives after it, and near misses."""
    budgets = _budgets(request)
    with database.read() as connection:
        return pick_trial(connection, experiment_id, budgets)


def _budgets(request: Request) -> dict[str, float]:
    budgets: dict[str, float] = {}
    for metric, text in request.query_params.multi_items():
        if metric in budgets:
            raise InvalidRequest(
                f"The budget for {metric!r} is given twice.",
                field=f"query.{metric}",
                remedy="Keep one of them.",
            )
        try:
            budgets[metric] = float(text)
        except ValueError:
            raise InvalidRequest(
                f"The budget {text[:100]!r} for {metric!r} is not a number.",
                field=f"query.{metric}",
                remedy="Give a number in the metric's unit, as latency_ms=20.",
            ) from None
    return budgets
