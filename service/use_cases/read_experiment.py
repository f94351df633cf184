"""One experiment, and the list of them."""

from sqlalchemy import Connection

from service.domain.errors import InvalidRequest
from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.trial import TrialStatus
from service.schemas.experiments import ExperimentSummary, ExperimentView
from service.schemas.pages import Page
from service.storage.candidates import model_trouble
from service.storage.claims import ready_stage_counts
from service.storage.experiments import (
    find_experiment,
    is_space_exhausted,
    page_of_experiments,
    trial_counts,
)
from service.storage.measured_ahead import measured_ahead_count
from service.storage.target_profiles import bound_targets
from service.use_cases.cursor import decode_cursor, encode_cursor
from service.use_cases.explain_experiment import explain
from service.use_cases.read_sources import views_of_sources
from service.use_cases.unmet_stages import online_workers


def read_experiment(connection: Connection, id_or_name: str) -> ExperimentView:
    """The experiment with its counts and what it is doing. Raises: ExperimentNotFound."""
    experiment = find_experiment(connection, id_or_name)
    counts = trial_counts(connection, [experiment.id])[experiment.id]
    explanation = explain(
        experiment,
        counts,
        ready_stage_counts(connection, experiment.id),
        online_workers(connection),
        bound=bound_targets(connection, experiment.id),
        space_exhausted=is_space_exhausted(connection, experiment.id),
        measured_ahead=measured_ahead_count(connection, experiment.id),
        model_trouble=model_trouble(connection, experiment.id),
    )
    return ExperimentView(
        experiment=experiment,
        trial_counts=counts,
        explanation=explanation,
        sources=views_of_sources(connection, experiment),
    )


def list_experiments(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    status: ExperimentStatus | None = None,
    include_archived: bool = False,
) -> Page[ExperimentSummary]:
    """Up to `limit` experiments, the newest first. Raises: InvalidRequest for a bad cursor."""
    after = None
    if cursor is not None:
        created_at, id_ = decode_cursor(cursor, "experiments")
        if not isinstance(created_at, float) or not isinstance(id_, str):
            raise InvalidRequest("The cursor is not one of this list.", field="cursor")
        after = (created_at, id_)
    found = page_of_experiments(
        connection,
        limit=limit + 1,
        after=after,
        status=status,
        include_archived=include_archived,
    )
    page, more = found[:limit], len(found) > limit
    counts = trial_counts(connection, [experiment.id for experiment in page])
    next_cursor = None
    if more:
        next_cursor = encode_cursor("experiments", page[-1].created_at.timestamp(), page[-1].id)
    return Page(
        items=tuple(_summary(experiment, counts[experiment.id]) for experiment in page),
        next_cursor=next_cursor,
    )


def _summary(experiment: Experiment, counts: dict[TrialStatus, int]) -> ExperimentSummary:
    reference = experiment.spec.search_space
    return ExperimentSummary(
        id=experiment.id,
        name=experiment.spec.name,
        status=experiment.status,
        search_space=None if reference is None else f"{reference.name}@{reference.version}",
        budget_trials=experiment.budget_trials,
        trials_created=experiment.trials_created,
        trial_counts=counts,
        created_at=experiment.created_at,
        archived_at=experiment.archived_at,
    )
