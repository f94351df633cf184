import pytest

from service.domain.errors import WorkerNotFound
from service.schemas.leases import FailRequest
from service.schemas.trials import AttachRequest
from service.schemas.workers import WorkerStatusChange
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.attach_trial import attach_trial
from service.use_cases.list_trials import all_trials
from service.use_cases.read_experiment import read_experiment
from service.use_cases.record_report import record_failure
from service.use_cases.register_worker import change_worker_status
from service.use_cases.steer_experiment import pause, resume, stop
from service.use_cases.store_artifact import record_artifact
from tests.conftest import FakeClock
from tests.service.offered_targets import offered
from tests.service.sent_statements import sent_statements
from tests.service.toy_experiments import (
    claimed,
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


def test_a_trial_goes_from_candidate_to_completed(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=1))
    worker = registered(database)
    assert topped_up(database, experiment_id, 5, 6) == [0]
    grant = surely_claimed(database, worker)
    assert (grant.trial_number, grant.stage_kind, grant.epoch) == (0, "train", 1)
    assert grant.arm.parameters == {"width": 5, "rate": 0.5, "pruned": True}
    assert (grant.search_space.name, grant.search_space.version) == ("toy", 3)
    assert claimed(database, worker) is None
    assert completed(database, grant).trial_status == "running"
    measure = surely_claimed(database, worker)
    assert (measure.stage_kind, measure.epoch) == ("measure", 1)
    reply = completed(database, measure)
    assert (reply.trial_status, reply.stage_status) == ("completed", "completed")
    with database.read() as connection:
        view = read_experiment(connection, experiment_id)
        (trial,) = all_trials(connection, experiment_id)
    assert view.experiment.status == "completed"
    assert trial.measurements["latency_ms"].unit == "ms"
    assert {name: m.mean for name, m in trial.measurements.items()} == {
        "error": 0.25,
        "loss": 1.5,
        "latency_ms": 4.0,
    }


def test_what_is_begun_comes_first_and_a_hand_picked_arm_next(database: Database) -> None:
    experiment_id = created(database, worker_spec(optimizer={"pool_size": 3}, max_parallel=5))
    worker = registered(database, slots=9)
    topped_up(database, experiment_id, 1, 2, 3)
    completed(database, surely_claimed(database, worker))
    request = AttachRequest(parameters={"width": 9, "rate": 0.1, "pruned": False})
    with database.write() as connection:
        by_hand = attach_trial(connection, experiment_id, request)
    order = [surely_claimed(database, worker) for _ in range(4)]
    assert [(grant.trial_number, grant.stage_kind) for grant in order] == [
        (0, "measure"),
        (by_hand.number, "train"),
        (1, "train"),
        (2, "train"),
    ]


def test_a_measurement_comes_before_a_training_to_be_repeated(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    worker = registered(database)
    topped_up(database, experiment_id, 1, 2)
    first, second = surely_claimed(database, worker), surely_claimed(database, worker)
    with database.write() as connection:
        fault = FailRequest(epoch=1, fault="machine", message="out of memory")
        record_failure(connection, first.lease_id, fault)
    completed(database, second)
    order = [surely_claimed(database, worker) for _ in range(2)]
    assert [(g.trial_number, g.stage_kind) for g in order] == [(1, "measure"), (0, "train")]


def test_no_more_trials_run_than_max_parallel(database: Database) -> None:
    experiment_id = created(database, worker_spec(max_parallel=2, optimizer={"pool_size": 4}))
    worker = registered(database)
    topped_up(database, experiment_id, 1, 2, 3, 4)
    first, second = surely_claimed(database, worker), surely_claimed(database, worker)
    assert claimed(database, worker) is None
    completed(database, first)
    assert surely_claimed(database, worker).stage_kind == "measure"
    assert claimed(database, worker) is None
    assert second.trial_number == 1


def test_a_worker_holds_no_more_leases_than_slots(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    worker = registered(database, slots=1)
    topped_up(database, experiment_id, 1, 2)
    surely_claimed(database, worker)
    assert claimed(database, worker) is None
    assert claimed(database, registered(database, "bert")) is not None


def test_two_measurements_never_share_a_device(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    one = registered(database, "one", device="phone")
    two = registered(database, "two", device="phone")
    elsewhere = registered(database, "elsewhere", stages=["measure"])
    topped_up(database, experiment_id, 1, 2)
    trained = [surely_claimed(database, one) for _ in range(2)]
    for grant in trained:
        completed(database, grant)
    first = surely_claimed(database, one)
    assert first.stage_kind == "measure"
    assert claimed(database, two) is None
    assert surely_claimed(database, elsewhere).stage_kind == "measure"
    completed(database, first)
    with database.read() as connection:
        statuses = [trial.status for trial in all_trials(connection, experiment_id)]
    assert statuses == ["completed", "running"]


@pytest.mark.parametrize(
    "changes",
    [
        {"search_spaces": [{"name": "toy", "version": 2}]},
        {"search_spaces": [{"name": "other", "version": 3}]},
        {"search_spaces": []},
        {"stages": ["measure"]},
        {"stages": []},
    ],
)
def test_a_worker_gets_only_what_it_can_train(database: Database, changes: dict) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    assert claimed(database, registered(database, **changes)) is None


@pytest.mark.parametrize(
    ("changes", "measures"),
    [
        ({}, True),
        ({"targets": [offered(runtimes=["executorch"])]}, False),
        ({"targets": [offered(runtimes=[])]}, False),
        ({"stages": ["train"]}, False),
    ],
)
def test_a_worker_measures_only_in_a_runtime_it_has(
    database: Database, changes: dict, measures: bool
) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    completed(database, surely_claimed(database, registered(database, "trainer")))
    grant = claimed(database, registered(database, "measurer", **changes))
    assert (grant is not None) == measures


def test_a_named_target_is_measured_only_where_it_is(database: Database) -> None:
    experiment_id = created(
        database,
        worker_spec(
            targets=["pixel-8"], objectives=[{"metric": "latency_ms@pixel-8", "goal": "minimize"}]
        ),
    )
    topped_up(database, experiment_id, 1)
    completed(database, surely_claimed(database, registered(database, "trainer")))
    assert claimed(database, registered(database, "without")) is None
    assert claimed(database, registered(database, "with", targets=[offered("pixel-8")])) is not None


def test_a_paused_experiment_finishes_what_is_begun(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    worker = registered(database)
    topped_up(database, experiment_id, 1, 2)
    grant = surely_claimed(database, worker)
    with database.write() as connection:
        pause(connection, experiment_id)
    completed(database, grant)
    assert surely_claimed(database, worker).stage_kind == "measure"
    assert claimed(database, worker) is None
    with database.write() as connection:
        resume(connection, experiment_id)
    assert surely_claimed(database, worker).trial_number == 1


def test_a_stopped_experiment_gives_nothing_out(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1, 2)
    with database.write() as connection:
        stop(connection, experiment_id)
    assert claimed(database, registered(database)) is None


def test_the_experiment_with_the_fewest_running_trials_is_served_next(
    database: Database, clock: FakeClock
) -> None:
    worker = registered(database, slots=9)
    for name in ("older", "newer"):
        topped_up(database, created(database, worker_spec(name=name)), 1, 2)
        clock.advance(1)
    served = [surely_claimed(database, worker).experiment_name for _ in range(4)]
    assert served == ["older", "newer", "older", "newer"]


def test_an_experiment_at_its_limit_does_not_hide_the_next(database: Database) -> None:
    worker = registered(database, slots=9)
    full = created(database, worker_spec(name="full", max_parallel=1))
    topped_up(database, full, 1, 2)
    surely_claimed(database, worker)
    other = created(database, worker_spec(name="other"))
    topped_up(database, other, 1)
    assert surely_claimed(database, worker).experiment_name == "other"


def test_the_measurement_gets_the_files_of_the_winning_training(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    worker = registered(database)
    topped_up(database, experiment_id, 1)
    with database.write() as connection:
        record_artifact(connection, "a" * 64, 7)
    failed = surely_claimed(database, worker)
    fault = FailRequest(epoch=1, fault="machine", message="out of memory")
    with database.write() as connection:
        record_failure(connection, failed.lease_id, fault)
    grant = surely_claimed(database, worker)
    assert (grant.epoch, grant.inputs) == (2, ())
    completed(database, grant, artifacts=[{"name": "weights", "sha256": "a" * 64}])
    (given,) = surely_claimed(database, worker).inputs
    assert (given.name, given.sha256, given.size_bytes) == ("weights", "a" * 64, 7)


def test_each_trial_has_its_own_seed_and_a_retry_keeps_it(database: Database) -> None:
    experiment_id = created(database, worker_spec(seed=7))
    worker = registered(database)
    topped_up(database, experiment_id, 1, 2)
    one, two = surely_claimed(database, worker), surely_claimed(database, worker)
    assert one.seed != two.seed
    with database.write() as connection:
        preempted = FailRequest(epoch=1, fault="preempted", message="draining")
        record_failure(connection, one.lease_id, preempted)
    again = surely_claimed(database, worker)
    assert (again.trial_number, again.seed) == (one.trial_number, one.seed)


def test_a_draining_worker_gets_nothing_and_one_replaced_is_told_so(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    first = registered(database)
    with database.write() as connection:
        change_worker_status(connection, first, WorkerStatusChange(status="draining"))
    assert claimed(database, first) is None
    second = registered(database)
    with pytest.raises(WorkerNotFound, match="registered again"):
        claimed(database, first)
    with pytest.raises(WorkerNotFound, match="nobody"):
        claimed(database, "nobody")
    assert claimed(database, second) is not None


def test_a_claim_takes_few_statements(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 5)
    worker = registered(database)
    with sent_statements() as sent:
        surely_claimed(database, worker)
    # Each costs 0.2 to 0.3 ms of a worker's time, most of them under the experiment's lock.
    assert len(sent) <= 18
