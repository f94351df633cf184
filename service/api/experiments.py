"""Experiments: create, validate, list, read and steer."""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import Connection

from service.api.deeds import DeedOf
from service.api.examples import EXPERIMENT_BODY
from service.api.guard import needs
from service.api.reading import (
    Cursor,
    DatabaseOf,
    ExperimentKey,
    Limit,
    RegistryOf,
    entity_tag,
    not_modified,
    tagged,
)
from service.api.strict_route import StrictRoute
from service.domain.experiment import Experiment, ExperimentSpec, ExperimentStatus
from service.schemas.documents import UnsupportedMediaType, parse_json, shortened
from service.schemas.experiments import (
    BudgetChange,
    ExperimentSummary,
    ExperimentValidation,
    ExperimentView,
)
from service.schemas.pages import Page
from service.schemas.validation import validate
from service.schemas.yaml_text import parse_yaml
from service.use_cases.create_experiment import create_experiment
from service.use_cases.read_experiment import list_experiments, read_experiment
from service.use_cases.resolve_experiment import resolve_experiment
from service.use_cases.resolve_runtimes import resolve_runtimes
from service.use_cases.resolve_warm_start import resolve_warm_start
from service.use_cases.steer_experiment import (
    archive,
    pause,
    raise_budget,
    resume,
    stop,
    unarchive,
)

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], route_class=StrictRoute)

_YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


async def _spec(request: Request) -> ExperimentSpec:
    given = request.headers.get("content-type", "application/json")
    media_type = given.partition(";")[0].strip().lower()
    text = await request.body()
    if media_type in _YAML_TYPES:
        document: Any = parse_yaml(text)
    elif media_type == "application/json" or media_type.endswith("+json"):
        document = parse_json(text)
    else:
        raise UnsupportedMediaType(
            f"Content-Type {shortened(given)!r} is not taken here.",
            field="header.Content-Type",
            remedy="Send application/json or application/yaml.",
        )
    return validate(ExperimentSpec, document)


SpecOf = Annotated[ExperimentSpec, Depends(_spec)]


@router.post(
    "",
    operation_id="create_experiment",
    status_code=201,
    response_model=Experiment,
    dependencies=[needs("write")],
    openapi_extra={"requestBody": EXPERIMENT_BODY},
)
def create(spec: SpecOf, deed: DeedOf, registry: RegistryOf) -> Response:
    """Creates an experiment from JSON or YAML; it runs at once."""
    return deed.once(lambda connection: create_experiment(connection, spec, registry), 201)


@router.post(
    "/validate",
    operation_id="validate_experiment",
    dependencies=[needs("write")],
    openapi_extra={"requestBody": EXPERIMENT_BODY},
)
def validate_only(spec: SpecOf, database: DatabaseOf, registry: RegistryOf) -> ExperimentValidation:
    """Checks a spec and resolves its defaults; changes nothing."""
    resolved = resolve_experiment(spec, registry)
    with database.read() as connection:
        warm = resolve_warm_start(connection, resolved)
        accepted = resolve_runtimes(connection, warm, resolved.precisions)
    return ExperimentValidation(
        spec=accepted,
        parameter_count=len(resolved.space.parameters),
        metrics=tuple(metric.name for metric in resolved.metrics),
    )


@router.get("", operation_id="list_experiments", dependencies=[needs("read")])
def list_page(
    database: DatabaseOf,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Annotated[ExperimentStatus | None, Query()] = None,
    include_archived: bool = False,
) -> Page[ExperimentSummary]:
    """The experiments, newest first."""
    with database.read() as connection:
        return list_experiments(
            connection,
            limit=limit,
            cursor=cursor,
            status=status,
            include_archived=include_archived,
        )


@router.get(
    "/{experiment_id}",
    operation_id="read_experiment",
    response_model=ExperimentView,
    dependencies=[needs("read")],
)
def read(
    database: DatabaseOf, request: Request, response: Response, experiment_id: ExperimentKey
) -> ExperimentView | Response:
    """One experiment with its counts, and a sentence on what it is doing."""
    with database.read() as connection:
        view = read_experiment(connection, experiment_id)
    # The sentence also depends on the fleet, and the sources on other experiments, which leave
    # the data version alone.
    rest = _digest(f"{view.explanation} {view.sources}")
    tag = entity_tag(view.experiment.id, view.experiment.data_version, rest)
    unchanged = not_modified(request, tag)
    if unchanged is not None:
        return unchanged
    tagged(response, tag)
    return view


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


Steer = Callable[[Connection, str], ExperimentView]


def _add_steering(word: str, steer: Steer, description: str) -> None:
    @router.post(
        f"/{{experiment_id}}/{word}",
        operation_id=f"{word}_experiment",
        name=f"{word}_experiment",
        summary=f"{word.capitalize()} Experiment",
        description=description,
        response_model=ExperimentView,
        dependencies=[needs("write")],
    )
    def route(deed: DeedOf, experiment_id: ExperimentKey) -> Response:
        return deed.once(lambda connection: steer(connection, experiment_id))


for _word, _steer, _description in (
    ("pause", pause, "No new trials start; those under way go on."),
    (
        "resume",
        resume,
        "A paused experiment runs on; one that a stop rule ended does too, without that rule.",
    ),
    ("stop", stop, "Candidates are cancelled and running trials told to stop; for good."),
    ("archive", archive, "Leaves the list; nothing is deleted."),
    ("unarchive", unarchive, "Comes back to the list."),
):
    _add_steering(_word, _steer, _description)


@router.post(
    "/{experiment_id}/budget",
    operation_id="raise_budget",
    response_model=ExperimentView,
    dependencies=[needs("write")],
)
def raise_the_budget(deed: DeedOf, experiment_id: ExperimentKey, change: BudgetChange) -> Response:
    """Sets the total number of trials, which may only rise; a completed experiment runs on."""
    return deed.once(lambda connection: raise_budget(connection, experiment_id, change.trials))
