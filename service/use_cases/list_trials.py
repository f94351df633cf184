"""The trials of an experiment: page by page, filtered and sorted, or all."""

from collections.abc import Sequence

from pydantic import ValidationError
from sqlalchemy import Connection

from service.domain.errors import InvalidRequest, UnknownMetric
from service.domain.experiment import Experiment, unknown_name_remedy
from service.domain.objective import OutcomeConstraint
from service.domain.trial import Trial, TrialStatus
from service.schemas.pages import Page
from service.storage.experiments import find_experiment
from service.storage.trial_pages import TRIAL_COLUMNS, PageKey, TrialOrder, page_of_trials
from service.storage.trials import trials_of_experiment
from service.use_cases.cursor import decode_cursor, encode_cursor


def list_trials(
    connection: Connection,
    experiment_id: str,
    *,
    limit: int,
    cursor: str | None = None,
    status: Sequence[TrialStatus] | None = None,
    source: str | None = None,
    sort: str = "number",
    where: Sequence[OutcomeConstraint | str] = (),
) -> Page[Trial]:
    """Up to `limit` trials.

    sort: `number`, `created_at`, `ended_at` or a metric; `-` before it: descending. Trials
        without a value come last either way, and so do failed ones when sorted by a metric.
    where: bounds such as `latency_ms <= 5`, which trials without that metric do not meet.
    Raises: ExperimentNotFound, UnknownMetric, InvalidRequest.
    """
    experiment = find_experiment(connection, experiment_id)
    order = _order(experiment, sort)
    list_name = f"trials {experiment.id} {sort}"
    found = page_of_trials(
        connection,
        experiment.id,
        order=order,
        limit=limit + 1,
        after=None if cursor is None else _page_key(cursor, list_name),
        status=status,
        source=source,
        where=[_bound(experiment, text, index) for index, text in enumerate(where)],
    )
    next_cursor = None
    if len(found) > limit:
        last = found[limit - 1][1]
        next_cursor = encode_cursor(list_name, last.key, last.number)
    return Page(items=tuple(trial for trial, _ in found[:limit]), next_cursor=next_cursor)


def all_trials(connection: Connection, experiment_id: str) -> list[Trial]:
    """Every trial, in the order of their numbers. Raises: ExperimentNotFound."""
    return trials_of_experiment(connection, find_experiment(connection, experiment_id).id)


def _order(experiment: Experiment, sort: str) -> TrialOrder:
    name = sort.removeprefix("-")
    descending = sort.startswith("-")
    if name in TRIAL_COLUMNS:
        return TrialOrder("column", name, descending)
    _require_metric(experiment, name, "sort", also=TRIAL_COLUMNS)
    return TrialOrder("metric", name, descending)


def _bound(experiment: Experiment, given: OutcomeConstraint | str, index: int) -> OutcomeConstraint:
    field = f"where.{index}"
    if isinstance(given, str):
        try:
            given = OutcomeConstraint.model_validate(given)
        except ValidationError as error:
            message = str(error.errors(include_url=False)[0]["msg"])
            raise InvalidRequest(
                f"{message.removeprefix('Value error, ')}.",
                field=field,
                remedy="Write a metric, <= or >=, and a number: latency_ms <= 5.",
            ) from None
    _require_metric(experiment, given.metric, field)
    return given


def _require_metric(
    experiment: Experiment, name: str, field: str, also: Sequence[str] = ()
) -> None:
    known = [metric.name for metric in experiment.metrics]
    if name not in known:
        raise UnknownMetric(
            f"The experiment has no metric {name!r}.",
            field=field,
            remedy=unknown_name_remedy(name, [*also, *known]),
        )


def _page_key(cursor: str, list_name: str) -> PageKey:
    key, number = decode_cursor(cursor, list_name)
    if isinstance(key, str) or not isinstance(number, int):
        raise InvalidRequest("The cursor is not one of this list.", field="cursor")
    return PageKey(key, number)
