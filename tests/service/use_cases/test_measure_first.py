"""What is cheap comes before what is dear: arms are measured before a training is spent on them."""

import pytest

from service.domain.errors import InvalidRequest
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.list_trials import all_trials
from service.use_cases.read_experiment import read_experiment
from service.use_cases.resolve_experiment import resolve_experiment
from service.use_cases.steer_experiment import pause, resume, stop
from service.use_cases.top_up_candidates import suggestion_request
from tests.service.toy_experiments import (
    BOTH_TOY_SPACES,
    REGISTRY,
    claimed,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


def quick_spec(**changes):
    return worker_spec(search_space="quick-toy", **changes)


def worker_of(database, name="anna", **changes):
    return registered(database, name, search_spaces=BOTH_TOY_SPACES, **changes)


def trials_of(database, experiment_id):
    with database.read() as connection:
        return all_trials(connection, experiment_id)


def explanation(database, experiment_id):
    with database.read() as connection:
        return read_experiment(connection, experiment_id).explanation


def test_an_arm_is_measured_untrained_and_then_trained(database: Database) -> None:
    experiment_id = created(database, quick_spec(budget=1))
    worker = worker_of(database)
    topped_up(database, experiment_id, 5)
    measure = surely_claimed(database, worker)
    assert (measure.stage_kind, measure.measurement.untrained) == ("measure", True)
    assert measure.inputs == ()
    assert completed(database, measure).trial_status == "running"
    train = surely_claimed(database, worker)
    assert train.stage_kind == "train"
    assert completed(database, train).trial_status == "completed"
    (trial,) = trials_of(database, experiment_id)
    assert trial.measurements.keys() == {"error", "loss", "latency_ms"}


@pytest.mark.parametrize(
    ("goal", "latency", "reason"),
    [
        (
            {"outcome_constraints": ["latency_ms <= 20"]},
            {"mean": 31.2, "sem": 0.3},
            "latency_ms 31.2 ± 0.3 exceeds the bound 20: not trained",
        ),
        (
            {
                "objectives": [
                    {"metric": "error", "goal": "minimize"},
                    {"metric": "latency_ms", "goal": "minimize", "threshold": 20},
                ]
            },
            {"mean": 20.5},
            "latency_ms 20.5 exceeds the bound 20: not trained",
        ),
    ],
)
def test_an_arm_that_surely_misses_a_bound_never_trains(
    database: Database, goal: dict, latency: dict, reason: str
) -> None:
    experiment_id = created(database, quick_spec(budget=1, **goal))
    worker = worker_of(database)
    topped_up(database, experiment_id, 5)
    reply = completed(
        database, surely_claimed(database, worker), measurements={"latency_ms": latency}
    )
    assert (reply.trial_status, reply.stage_status) == ("infeasible", "completed")
    assert claimed(database, worker) is None
    (trial,) = trials_of(database, experiment_id)
    assert trial.reason == reason
    assert trial.measurements["latency_ms"].mean == latency["mean"]
    assert [(s.kind, s.status) for s in trial.stages] == [
        ("measure", "completed"),
        ("train", "cancelled"),
    ]
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).experiment.status == "completed"


def test_an_arm_whose_miss_is_within_its_noise_trains(database: Database) -> None:
    experiment_id = created(database, quick_spec(outcome_constraints=["latency_ms <= 20"]))
    worker = worker_of(database)
    topped_up(database, experiment_id, 5)
    measure = surely_claimed(database, worker)
    completed(database, measure, measurements={"latency_ms": {"mean": 20.8, "sem": 0.3}})
    assert surely_claimed(database, worker).stage_kind == "train"


def test_where_training_comes_first_no_bound_spares_the_measurement(database: Database) -> None:
    spec = worker_spec(outcome_constraints=["error <= 0.1"])
    experiment_id = created(database, spec)
    worker = worker_of(database)
    topped_up(database, experiment_id, 5)
    assert completed(database, surely_claimed(database, worker)).trial_status == "running"
    assert surely_claimed(database, worker).stage_kind == "measure"


def test_the_pool_is_measured_ahead_while_as_many_train_as_may(database: Database) -> None:
    spec = quick_spec(budget=9, max_parallel=1, optimizer={"strategy": "sobol", "pool_size": 2})
    experiment_id = created(database, spec)
    host = worker_of(database, "host", stages=["measure"])
    gpu = worker_of(database, "gpu", stages=["train"])
    assert topped_up(database, experiment_id, 5, 6, 7) == [0, 1]
    for number in (0, 1):
        measure = surely_claimed(database, host)
        assert measure.trial_number == number
        completed(database, measure)
    # Both wait measured for the GPU, and fill the pool.
    assert topped_up(database, experiment_id, 8) == []
    first = surely_claimed(database, gpu)
    assert (first.trial_number, first.stage_kind) == (0, "train")
    assert claimed(database, gpu) is None  # max_parallel trains already
    assert topped_up(database, experiment_id, 9, 10) == [2]
    ahead = surely_claimed(database, host)
    assert ahead.trial_number == 2
    told = "1 trial running, 2 measured ahead of training, 6 of the budget left."
    assert explanation(database, experiment_id) == told
    completed(database, ahead)
    completed(database, first)
    assert surely_claimed(database, gpu).trial_number == 1


def test_one_that_does_both_trains_what_is_measured_before_it_measures_more(
    database: Database,
) -> None:
    experiment_id = created(database, quick_spec())
    worker = worker_of(database)
    topped_up(database, experiment_id, 5, 6)
    completed(database, surely_claimed(database, worker))
    order = [surely_claimed(database, worker), surely_claimed(database, worker)]
    assert [(g.trial_number, g.stage_kind) for g in order] == [(0, "train"), (1, "measure")]


def test_a_paused_experiment_begins_no_training(database: Database) -> None:
    experiment_id = created(database, quick_spec())
    worker = worker_of(database)
    topped_up(database, experiment_id, 5)
    measure = surely_claimed(database, worker)
    with database.write() as connection:
        pause(connection, experiment_id)
    completed(database, measure)
    assert claimed(database, worker) is None
    assert explanation(database, experiment_id) == "Paused by hand; 1 measured ahead of training."
    with database.write() as connection:
        resume(connection, experiment_id)
    assert surely_claimed(database, worker).stage_kind == "train"


def test_stopping_ends_what_was_only_measured(database: Database) -> None:
    experiment_id = created(database, quick_spec())
    worker = worker_of(database)
    topped_up(database, experiment_id, 5)
    completed(database, surely_claimed(database, worker))
    with database.write() as connection:
        stop(connection, experiment_id)
    (trial,) = trials_of(database, experiment_id)
    assert trial.status.is_final
    assert claimed(database, worker) is None


def test_the_optimizer_is_told_what_running_trials_have_measured(database: Database) -> None:
    experiment_id = created(database, quick_spec(budget=9))
    worker = worker_of(database)
    topped_up(database, experiment_id, 5, 6)
    completed(database, surely_claimed(database, worker))
    surely_claimed(database, worker)
    with database.read() as connection:
        request = suggestion_request(connection, experiment_id)
    assert request is not None
    assert len(request.pending) == 2
    (partial,) = request.partial
    assert partial.arm.parameters["width"] == 5
    assert partial.status == "running"
    assert {name: m.mean for name, m in partial.measurements.items()} == {"latency_ms": 4.0}


def test_the_order_is_decided_when_the_experiment_is_created() -> None:
    def order(space, targets=("this-host",), **measurement):
        spec = worker_spec(search_space=space, targets=targets, measurement=measurement)
        return resolve_experiment(spec, REGISTRY).spec.measurement.untrained

    assert order("quick-toy") is True
    assert order("toy") is False
    assert order("quick-toy", untrained=False) is False
    with pytest.raises(InvalidRequest, match="measure differently") as got:
        order("toy", untrained=True)
    assert got.value.field == "measurement.untrained"
    # which weights are zero is not known before the training
    assert order("quick-toy", runtime="block_sparse") is False
    one_of_two = ["this-host", {"name": "board", "runtime": "block_sparse"}]
    assert order("quick-toy", targets=one_of_two) is False
    with pytest.raises(InvalidRequest, match="'block_sparse', which skips zeros") as got:
        order("quick-toy", runtime="block_sparse", untrained=True)
    assert got.value.field == "measurement.untrained"
