import pytest

from service.domain.errors import ExperimentNotFound, InvalidRequest, NameTaken, TransitionRefused
from service.schemas.experiments import ExperimentView
from service.schemas.leases import FailRequest
from service.schemas.workers import WorkerStatusChange
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.use_cases.list_trials import all_trials
from service.use_cases.read_experiment import list_experiments, read_experiment
from service.use_cases.record_report import record_failure
from service.use_cases.register_worker import change_worker_status
from service.use_cases.requeue_trial import requeue_trial
from service.use_cases.steer_experiment import (
    archive,
    pause,
    raise_budget,
    resume,
    stop,
    unarchive,
)
from service.use_cases.stop_trial import stop_trial
from service.use_cases.top_up_candidates import add_candidates, note_space_exhausted
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    claimed,
    completed,
    created,
    external_spec,
    external_suggestion,
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


def steered(database: Database, deed, *args) -> ExperimentView:
    with database.write() as connection:
        return deed(connection, *args)


def explanation(database: Database, experiment_id: str) -> str:
    with database.read() as connection:
        return read_experiment(connection, experiment_id).explanation


def finished(database: Database, experiment_id: str, worker: str) -> None:
    while (grant := claimed(database, worker)) is not None:
        completed(database, grant)


def test_an_experiment_is_found_by_id_and_by_name(database: Database) -> None:
    experiment_id = created(database, worker_spec(name="by-name"))
    with database.read() as connection:
        by_id = read_experiment(connection, experiment_id)
        assert read_experiment(connection, "by-name") == by_id
        with pytest.raises(ExperimentNotFound, match="'nobody'"):
            read_experiment(connection, "nobody")
    assert by_id.experiment.spec.search_space.version == 3
    with pytest.raises(NameTaken):
        created(database, worker_spec(name="by-name"))


def test_every_change_raises_the_data_version(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    worker = registered(database)
    seen = []

    def look() -> None:
        with database.read() as connection:
            seen.append(read_experiment(connection, experiment_id).experiment.data_version)

    look()
    topped_up(database, experiment_id, 1)
    look()
    grant = surely_claimed(database, worker)
    look()
    completed(database, grant)
    look()
    steered(database, pause, experiment_id)
    look()
    steered(database, raise_budget, experiment_id, 9)
    look()
    assert seen == sorted(set(seen))


def test_pausing_and_resuming_twice_is_as_once(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    for _ in range(2):
        view = steered(database, pause, experiment_id)
        assert (view.experiment.status, view.explanation) == ("paused", "Paused by hand.")
    for _ in range(2):
        assert steered(database, resume, "toy-search").experiment.status == "running"


def test_stopping_is_for_good(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1, 2)
    for _ in range(2):
        view = steered(database, stop, experiment_id)
        assert view.experiment.status == "stopped"
        assert view.trial_counts["cancelled"] == 2
    for deed in (pause, resume):
        with pytest.raises(TransitionRefused, match="stopped"):
            steered(database, deed, experiment_id)
    with pytest.raises(TransitionRefused, match="stopped for good"):
        steered(database, raise_budget, experiment_id, 100)
    with pytest.raises(TransitionRefused, match="stopped for good"):
        steered(database, requeue_trial, experiment_id, 0)


def test_a_raised_budget_lets_a_completed_experiment_run_on(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=1))
    worker = registered(database)
    topped_up(database, experiment_id, 1)
    finished(database, experiment_id, worker)
    with database.read() as connection:
        view = read_experiment(connection, experiment_id)
    assert view.explanation == "The budget is spent; 1 of 1 trial completed."
    assert view.experiment.status == "completed"
    with pytest.raises(TransitionRefused, match="Raise its budget"):
        steered(database, resume, experiment_id)
    with pytest.raises(InvalidRequest, match="cannot become 0") as caught:
        steered(database, raise_budget, experiment_id, 0)
    assert caught.value.field == "trials"
    with pytest.raises(InvalidRequest):
        steered(database, raise_budget, experiment_id, 10**30)
    assert steered(database, raise_budget, experiment_id, 1).experiment.status == "completed"
    assert steered(database, raise_budget, experiment_id, 2).experiment.status == "running"
    assert topped_up(database, experiment_id, 1, 2, 3) == [1]
    finished(database, experiment_id, worker)
    assert explanation(database, experiment_id).startswith("The budget is spent; 2 of 2")


def test_a_space_without_a_new_arm_ends_the_experiment(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    worker = registered(database)
    topped_up(database, experiment_id, 1)
    for _ in range(2):
        with database.write() as connection:
            note_space_exhausted(connection, experiment_id)
    assert topped_up(database, experiment_id, 2) == []
    finished(database, experiment_id, worker)
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).experiment.status == "completed"
    assert explanation(database, experiment_id) == (
        "No new arm is left to try; 1 of 1 trial completed."
    )


def test_only_what_has_ended_is_archived(database: Database, clock: FakeClock) -> None:
    experiment_id = created(database, worker_spec())
    for _ in range(2):
        with pytest.raises(TransitionRefused, match="Stop it first"):
            steered(database, archive, experiment_id)
        steered(database, pause, experiment_id)
    steered(database, stop, experiment_id)
    for _ in range(2):
        assert steered(database, archive, experiment_id).experiment.archived_at == clock.now
    with database.read() as connection:
        assert list_experiments(connection, limit=9).items == ()
        assert len(list_experiments(connection, limit=9, include_archived=True).items) == 1
    for _ in range(2):
        assert steered(database, unarchive, experiment_id).experiment.archived_at is None


def test_an_archived_experiment_does_not_run_on(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=1))
    topped_up(database, experiment_id, 1)
    finished(database, experiment_id, registered(database))
    steered(database, archive, experiment_id)
    with pytest.raises(TransitionRefused, match="Unarchive it first"):
        steered(database, raise_budget, experiment_id, 5)


def test_experiments_are_listed_page_by_page_the_newest_first(
    database: Database, clock: FakeClock
) -> None:
    for index in range(7):
        created(database, worker_spec(name=f"e{index}") if index % 2 else external_spec(
            name=f"e{index}"
        ))  # fmt: skip
        clock.advance(index % 2)  # some at the same moment
    steered(database, pause, "e3")
    names, cursor = [], None
    with database.read() as connection:
        while True:
            page = list_experiments(connection, limit=2, cursor=cursor)
            names += [item.name for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        (paused,) = list_experiments(connection, limit=9, status="paused").items
        for bad in ("", "x", "e30=", "%%%", "WyJ0cmlhbHMiLDEsMl0", "a" * 5000):
            with pytest.raises(InvalidRequest) as caught:
                list_experiments(connection, limit=2, cursor=bad)
            assert caught.value.field == "cursor"
    assert sorted(names) == [f"e{index}" for index in range(7)]
    assert names[0] in ("e6", "e5")
    assert (paused.name, paused.search_space) == ("e3", "toy@3")


def test_stopping_a_candidate_cancels_it_and_frees_its_place(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=2))
    topped_up(database, experiment_id, 1, 2)
    trial = steered(database, stop_trial, experiment_id, 0, "not this one")
    assert (trial.status, trial.reason) == ("cancelled", "not this one")
    assert [stage.status for stage in trial.stages] == ["cancelled", "cancelled"]
    with pytest.raises(TransitionRefused, match="ended already"):
        steered(database, stop_trial, experiment_id, 0, "again")


def test_stopping_between_stages_keeps_the_training(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=1))
    topped_up(database, experiment_id, 1)
    completed(database, surely_claimed(database, registered(database)))
    trial = steered(database, stop_trial, experiment_id, 0, "enough")
    assert (trial.status, trial.reason) == ("early_stopped", "enough")
    assert trial.measurements["error"].mean == 0.25
    assert [stage.status for stage in trial.stages] == ["completed", "cancelled"]


def test_a_requeued_trial_keeps_its_training_and_its_number(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=1))
    worker = registered(database)
    topped_up(database, experiment_id, 1)
    completed(database, surely_claimed(database, worker))
    surely_claimed(database, worker)
    # The measurement is lost for good, then a person asks for it again.
    with database.write() as connection:
        (trial,) = all_trials(connection, experiment_id)
        lease_id = trial.stages[1].lease_id
        record_failure(connection, lease_id, FailRequest(epoch=1, fault="recipe", message="x"))
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).experiment.status == "completed"
    trial = steered(database, requeue_trial, experiment_id, 0)
    assert (trial.status, trial.ended_at, trial.reason) == ("candidate", None, None)
    assert [stage.status for stage in trial.stages] == ["completed", "ready"]
    with pytest.raises(TransitionRefused):
        steered(database, requeue_trial, experiment_id, 0)
    grant = surely_claimed(database, worker)
    assert (grant.trial_number, grant.stage_kind, grant.epoch) == (0, "measure", 2)
    assert completed(database, grant).trial_status == "completed"
    with database.read() as connection:
        assert read_experiment(connection, experiment_id).experiment.trials_created == 1


def test_the_explanation_says_what_is_lacking(database: Database, clock: FakeClock) -> None:
    experiment_id = created(database, worker_spec(budget=5, max_parallel=1))
    no_trainer = "No worker that can train toy@3 is online."
    no_measurer = "No worker that can measure toy@3 with onnxruntime on its own host is online."
    assert explanation(database, experiment_id) == f"{no_trainer} {no_measurer}"
    trainer = registered(database, "trainer", stages=["train"], slots=1)
    assert explanation(database, experiment_id) == no_measurer
    measurer = registered(database, "measurer", stages=["measure"])
    assert explanation(database, experiment_id) == "The optimizer is choosing the next arms."
    topped_up(database, experiment_id, 1, 2)
    assert explanation(database, experiment_id) == "2 ready to start, 3 of the budget left."
    grant = surely_claimed(database, trainer)
    running = "1 trial running, 1 ready to start, 3 of the budget left."
    assert explanation(database, experiment_id) == running
    with database.write() as connection:
        change_worker_status(connection, measurer, WorkerStatusChange(status="draining"))
    assert explanation(database, experiment_id) == no_measurer
    completed(database, grant)
    assert explanation(database, experiment_id) == no_measurer
    clock.advance(61)
    assert explanation(database, experiment_id) == f"{no_trainer} {no_measurer}"


def test_the_explanation_says_that_all_are_busy_elsewhere(database: Database) -> None:
    busy = created(database, worker_spec(name="busy"))
    registered_id = registered(database, slots=1)
    topped_up(database, busy, 1)
    surely_claimed(database, registered_id)
    waiting = created(database, worker_spec(name="waiting"))
    topped_up(database, waiting, 1, 2)
    assert explanation(database, waiting) == (
        "2 trials ready; every able worker is busy elsewhere."
    )


def test_the_explanation_of_an_ask_tell_experiment(database: Database) -> None:
    experiment_id = created(database, external_spec())
    assert explanation(database, experiment_id) == "The optimizer is choosing the next arms."
    with database.write() as connection:
        add_candidates(connection, experiment_id, [external_suggestion(1), external_suggestion(2)])
    assert explanation(database, experiment_id) == "2 ready to be asked."
