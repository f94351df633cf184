import pytest

from service.domain.errors import ExperimentNotFound, UnknownMetric
from service.schemas.trials import AttachRequest
from service.use_cases.attach_trial import attach_trial
from service.use_cases.read_front import pick_trial, read_front, read_hypervolume
from tests.service.toy_experiments import (
    claimed,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)

POINTS = ((0.3, 2), (0.1, 9), (0.2, 4), (0.25, 5))


def attached(database, experiment_id, error, latency_ms, **more):
    request = {
        "parameters": {"width": 5, "rate": 0.5, "pruned": True},
        "measurements": {
            "error": {"mean": error, "sem": 0.01},
            "latency_ms": {"mean": latency_ms, "sem": 0.5, "protocol": {"threads": 1}},
        },
    }
    with database.write() as connection:
        return attach_trial(connection, experiment_id, AttachRequest(**(request | more)))


@pytest.fixture
def searched(clocked_database, clock):
    """An experiment with four measured trials, a minute apart."""
    experiment_id = created(clocked_database, worker_spec(budget=100))
    for point in POINTS:
        clock.advance(60)
        attached(clocked_database, experiment_id, *point)
    return experiment_id


def test_the_front_of_what_is_stored(clocked_database, searched):
    with clocked_database.read() as connection:
        front = read_front(connection, searched)
    assert [p.trial_number for p in front.front] == [1, 2, 0]
    assert [p.trial_number for p in front.others] == [3]
    assert front.units["latency_ms"] == "ms"
    assert front.front[0].measurements["latency_ms"].protocol == {"threads": 1}
    assert front.reference_point.values == pytest.approx({"error": 0.32, "latency_ms": 9.7})
    assert front.reference_point.inferred == ("error", "latency_ms")


def test_a_name_serves_as_well_as_an_id(clocked_database, searched):
    with clocked_database.read() as connection:
        assert read_front(connection, "toy-search") == read_front(connection, searched)


def test_others_are_bounded(clocked_database, searched):
    with clocked_database.read() as connection:
        front = read_front(connection, searched, max_others=0)
    assert (front.others, front.others_total) == ((), 1)


def test_every_change_raises_the_data_version(clocked_database, searched):
    with clocked_database.read() as connection:
        before = read_front(connection, searched)
    attached(clocked_database, searched, 0.05, 1)
    with clocked_database.read() as connection:
        after = read_front(connection, searched)
    assert after.data_version > before.data_version
    assert [p.trial_number for p in after.front] == [4]


def test_the_hypervolume_ends_where_the_front_stands(clocked_database, searched):
    with clocked_database.read() as connection:
        front = read_front(connection, searched)
        trace = read_hypervolume(connection, searched)
    volumes = [p.hypervolume for p in trace.points]
    assert volumes == sorted(volumes)
    assert volumes[-1] == pytest.approx(front.hypervolume)
    assert [p.elapsed_s for p in trace.points] == pytest.approx([60, 120, 180, 240])
    assert trace.reference_point == front.reference_point


def test_a_trial_picked_for_a_budget(clocked_database, searched):
    with clocked_database.read() as connection:
        pick = pick_trial(connection, searched, {"latency_ms": 5})
    assert pick.best.point.trial_number == 2
    assert pick.best.probability_within["latency_ms"] == pytest.approx(0.97725, abs=1e-5)
    assert [option.point.trial_number for option in pick.alternatives] == [3, 0]


def test_an_unknown_metric_is_refused(clocked_database, searched):
    with (
        clocked_database.read() as connection,
        pytest.raises(UnknownMetric, match="Did you mean 'latency_ms'"),
    ):
        pick_trial(connection, searched, {"latency": 5})


def test_an_infeasible_trial_never_reaches_the_front(clocked_database, searched):
    attached(clocked_database, searched, 0.0, 0.1, infeasible_reason="does not fit")
    with clocked_database.read() as connection:
        front = read_front(connection, searched)
        trace = read_hypervolume(connection, searched)
    assert 4 not in [p.trial_number for p in front.front]
    assert [p.feasible for p in front.others if p.trial_number == 4] == [False]
    assert len(trace.points) == 4


def test_a_half_measured_trial_is_not_shown(clocked_database):
    experiment_id = created(clocked_database, worker_spec())
    worker = registered(clocked_database)
    topped_up(clocked_database, experiment_id, 5)
    completed(clocked_database, surely_claimed(clocked_database, worker))  # trained only
    with clocked_database.read() as connection:
        front = read_front(connection, experiment_id)
        assert (front.front, front.others, front.hypervolume) == ((), (), None)
        assert read_hypervolume(connection, experiment_id).points == ()
        pick = pick_trial(connection, experiment_id, {"latency_ms": 5})
    assert pick.explanation == "No trial has completed within the constraints yet."
    completed(clocked_database, claimed(clocked_database, worker))  # measured, too
    with clocked_database.read() as connection:
        assert len(read_front(connection, experiment_id).front) == 1


@pytest.mark.parametrize("read", [read_front, read_hypervolume, lambda c, e: pick_trial(c, e, {})])
def test_an_unknown_experiment_is_not_found(clocked_database, read):
    with clocked_database.read() as connection, pytest.raises(ExperimentNotFound, match="nowhere"):
        read(connection, "nowhere")
