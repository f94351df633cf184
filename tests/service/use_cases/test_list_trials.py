import math

import pytest

from service.domain.errors import ExperimentNotFound, InvalidRequest, UnknownMetric
from service.domain.objective import OutcomeConstraint
from service.schemas.leases import FailRequest
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.use_cases.attach_trial import attach_trial
from service.use_cases.list_trials import all_trials, list_trials
from service.use_cases.record_report import record_failure
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)

ERRORS = [0.5, 0.1, 0.3, 0.1, 0.2]
PARAMETERS = {"width": 1, "rate": 0.1, "pruned": False}


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


@pytest.fixture
def experiment_id(database: Database, clock: FakeClock) -> str:
    """Trials 0-4 completed, 5 infeasible, 6 failed in its measurement, 7 a candidate."""
    experiment_id = created(database, worker_spec(budget=8))
    for index, error in enumerate(ERRORS):
        clock.advance(1)
        measured = {"error": error, "latency_ms": 10.0 - index}
        attach(database, experiment_id, measurements=measured)
    clock.advance(1)
    attach(database, experiment_id, measurements={"error": 0.0}, infeasible_reason="diverged")
    topped_up(database, experiment_id, 1, 2)
    worker = registered(database)
    completed(database, surely_claimed(database, worker), measurements={"error": 0.01})
    grant = surely_claimed(database, worker)
    with database.write() as connection:
        fault = FailRequest(epoch=1, fault="recipe", message="broke")
        record_failure(connection, grant.lease_id, fault)
    return experiment_id


def attach(database: Database, experiment_id: str, **changes) -> None:
    request = AttachRequest.model_validate({"parameters": PARAMETERS} | changes)
    with database.write() as connection:
        attach_trial(connection, experiment_id, request)


def numbers(database: Database, experiment_id: str, *, limit: int = 100, **how) -> list[int]:
    """Trial numbers over all pages."""
    found, cursor = [], None
    with database.read() as connection:
        while True:
            page = list_trials(connection, experiment_id, limit=limit, cursor=cursor, **how)
            found += [trial.number for trial in page.items]
            assert len(page.items) <= limit
            cursor = page.next_cursor
            if cursor is None:
                return found


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("number", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("-number", [7, 6, 5, 4, 3, 2, 1, 0]),
        ("created_at", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("-ended_at", [5, 6, 4, 3, 2, 1, 0, 7]),
        # equal ones by number; infeasible, failed and unmeasured ones last either way
        ("error", [1, 3, 4, 2, 0, 5, 6, 7]),
        ("-error", [0, 2, 4, 1, 3, 5, 6, 7]),
        ("latency_ms", [4, 3, 2, 1, 0, 5, 6, 7]),
        ("macs", [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_every_order_page_by_page(
    database: Database, experiment_id: str, limit: int, sort: str, expected: list[int]
) -> None:
    assert numbers(database, experiment_id, limit=limit, sort=sort) == expected


def test_trials_are_filtered(database: Database, experiment_id: str) -> None:
    assert numbers(database, experiment_id, status=["failed", "candidate"]) == [6, 7]
    assert numbers(database, experiment_id, status=[]) == []
    assert numbers(database, experiment_id, source="sobol") == [6, 7]
    assert numbers(database, experiment_id, where=["error <= 0.2"]) == [1, 3, 4, 5, 6]
    both = ["error <= 0.2", OutcomeConstraint.model_validate("latency_ms >= 7")]
    assert numbers(database, experiment_id, where=both) == [1, 3]
    completed_only = {"where": ["error <= 0.2"], "status": ["completed"], "sort": "-error"}
    assert numbers(database, experiment_id, limit=1, **completed_only) == [4, 1, 3]


@pytest.mark.parametrize(
    ("how", "error", "field", "message"),
    [
        ({"sort": "eror"}, UnknownMetric, "sort", "Did you mean 'error'"),
        ({"sort": "-numbr"}, UnknownMetric, "sort", "Did you mean 'number'"),
        ({"sort": ""}, UnknownMetric, "sort", "Known are"),
        ({"where": ["error <= 1", "lat <= 5"]}, UnknownMetric, "where.1", "Known are"),
        ({"where": ["error < 1"]}, InvalidRequest, "where.0", "write 'metric <= number'"),
        ({"where": ["error <= nan"]}, InvalidRequest, "where.0", "finite"),
        ({"cursor": "x"}, InvalidRequest, "cursor", "not one of this list"),
    ],
)
def test_what_makes_no_sense_is_named(
    database: Database, experiment_id: str, how: dict, error, field: str, message: str
) -> None:
    with database.read() as connection, pytest.raises(error, match=message) as caught:
        list_trials(connection, experiment_id, limit=5, **how)
    assert caught.value.field == field


def test_a_cursor_leads_on_only_in_its_own_list(database: Database, experiment_id: str) -> None:
    with database.read() as connection:
        cursor = list_trials(connection, experiment_id, limit=2).next_cursor
        with pytest.raises(InvalidRequest, match="in this order"):
            list_trials(connection, experiment_id, limit=2, cursor=cursor, sort="-number")
        with pytest.raises(ExperimentNotFound):
            list_trials(connection, "nobody", limit=2)


def test_all_trials_come_in_order_with_stages_and_measurements(
    database: Database, experiment_id: str
) -> None:
    with database.read() as connection:
        found = all_trials(connection, experiment_id)
    assert [trial.number for trial in found] == list(range(8))
    assert [trial.measurements["error"].mean for trial in found[:5]] == ERRORS
    assert math.isclose(found[6].measurements["error"].mean, 0.01)
    assert [stage.name for stage in found[7].stages] == ["train", "measure"]
