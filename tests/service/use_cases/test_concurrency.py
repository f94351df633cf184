"""Real threads on real databases: no limit is exceeded and nothing is done twice."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from service.domain.errors import LeaseLost, NameTaken, NoCandidateReady, Unavailable
from service.schemas.leases import Heartbeat
from service.schemas.trials import AskRequest, TellRequest
from service.storage import idempotency
from service.storage.database import Database
from service.storage.events import events_after
from service.storage.experiments import lock_experiment
from service.storage.invariants import check_invariants
from service.use_cases.ask_trial import ask_trial
from service.use_cases.create_experiment import create_experiment
from service.use_cases.list_trials import all_trials
from service.use_cases.list_workers import list_workers
from service.use_cases.read_experiment import read_experiment
from service.use_cases.read_trial import read_log, read_trial
from service.use_cases.reap_leases import reap_leases
from service.use_cases.record_report import record_complete
from service.use_cases.register_worker import register_worker
from service.use_cases.renew_lease import renew_lease
from service.use_cases.tell_trial import tell_trial
from service.use_cases.top_up_candidates import add_candidates, suggestion_request
from tests.service.toy_experiments import (
    REGISTRY,
    TIMES,
    claimed,
    completed,
    created,
    external_spec,
    external_suggestion,
    registered,
    registration,
    result_of,
    suggestion,
    surely_claimed,
    topped_up,
    worker_spec,
)

_LIMIT_S = 120


def at_once(count: int, deed: Callable[[int], object]) -> list[object]:
    """Runs `deed(0..count-1)` in threads that start together; gives results and errors."""
    gate = threading.Barrier(count)

    def run(index: int) -> object:
        gate.wait(_LIMIT_S)
        try:
            return deed(index)
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count), timeout=_LIMIT_S))


def invariants(database: Database) -> list[str]:
    with database.read() as connection:
        return check_invariants(connection)


@pytest.mark.slow
def test_fifty_trials_of_budget_with_eight_workers_are_exactly_fifty(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=50, max_parallel=5))
    workers = [registered(database, f"w{i}", device=f"d{i % 4}", slots=2) for i in range(8)]
    done = threading.Event()
    most_running = Counter()
    widths = iter(range(1, 1_000_000))
    lock = threading.Lock()

    def suggest() -> None:
        while not done.is_set():
            with database.read() as connection:
                request = suggestion_request(connection, experiment_id)
            if request is None:
                done.wait(0.01)
                continue
            with lock:
                some = [suggestion(next(widths)) for _ in range(request.count + 2)]
            with database.write() as connection:
                add_candidates(connection, experiment_id, some)

    def work(worker_id: str) -> None:
        while not done.is_set():
            grant = claimed(database, worker_id)
            if grant is None:
                done.wait(0.01)
                continue
            with database.write() as connection:
                renew_lease(connection, grant.lease_id, Heartbeat(epoch=grant.epoch), TIMES)
            completed(database, grant)

    def watch() -> None:
        while not done.is_set():
            with database.read() as connection:
                view = read_experiment(connection, experiment_id)
            assert view.experiment.trials_created <= 50
            most_running["running"] = max(most_running["running"], view.trial_counts["running"])
            if view.experiment.status == "completed":
                done.set()
            done.wait(0.02)

    def play(index: int) -> None:
        try:
            roles = [suggest, suggest, watch]
            roles[index]() if index < 3 else work(workers[index - 3])
        except BaseException:
            done.set()
            raise

    timer = threading.Timer(_LIMIT_S, done.set)
    timer.start()
    failures = [outcome for outcome in at_once(11, play) if outcome is not None]
    timer.cancel()
    assert [(f, getattr(f, "__cause__", None)) for f in failures] == []
    with database.read() as connection:
        found = all_trials(connection, experiment_id)
    assert [trial.number for trial in found] == list(range(50))
    assert {trial.status for trial in found} == {"completed"}
    assert {stage.epoch for trial in found for stage in trial.stages} == {1}
    assert 2 <= most_running["running"] <= 5
    assert invariants(database) == []


def test_one_candidate_is_claimed_by_one_of_eight(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    workers = [registered(database, f"w{i}") for i in range(8)]
    grants = at_once(8, lambda index: claimed(database, workers[index]))
    assert len([grant for grant in grants if grant is not None]) == 1
    assert invariants(database) == []


def test_simultaneous_claims_of_one_worker_stay_within_its_slots(database: Database) -> None:
    experiment_id = created(database, worker_spec(max_parallel=9, optimizer={"pool_size": 9}))
    topped_up(database, experiment_id, *range(1, 7))
    worker = registered(database, slots=2)
    grants = at_once(6, lambda _: claimed(database, worker))
    assert len([grant for grant in grants if grant is not None]) == 2
    assert invariants(database) == []


def test_simultaneous_claims_never_share_a_device_across_experiments(database: Database) -> None:
    trainer = registered(database, "trainer", slots=9)
    for name in ("one", "two", "three"):
        experiment_id = created(database, worker_spec(name=name))
        topped_up(database, experiment_id, 1)
    trained = [surely_claimed(database, trainer) for _ in range(3)]
    for grant in trained:
        completed(database, grant)
    measurers = [
        registered(database, f"m{i}", device="phone", stages=["measure"]) for i in range(6)
    ]
    grants = at_once(6, lambda index: claimed(database, measurers[index]))
    assert [str(g) for g in grants if isinstance(g, Exception)] == []
    assert len([grant for grant in grants if grant is not None]) == 1
    assert invariants(database) == []


def test_claims_across_many_experiments_never_deadlock(database: Database) -> None:
    for index in range(4):
        experiment_id = created(database, worker_spec(name=f"e{index}", max_parallel=1))
        topped_up(database, experiment_id, 1, 2)
    workers = [registered(database, f"w{i}", slots=8) for i in range(6)]

    def play(index: int) -> int:
        finished = 0
        while (grant := claimed(database, workers[index])) is not None:
            completed(database, grant)
            finished += 1
            with database.write() as connection:
                reap_leases(connection)
        return finished

    outcomes = at_once(6, play)
    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    # A worker that finds nothing for a moment leaves; one more finishes what is left.
    assert sum(outcomes) + play(0) == 16
    assert invariants(database) == []


def test_a_report_is_recorded_once_however_often_it_arrives(database: Database) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    grant = surely_claimed(database, registered(database))

    def report(index: int) -> object:
        error = 0.1 if index < 4 else 0.2
        request = result_of(grant, measurements={"error": error})
        with database.write() as connection:
            return record_complete(connection, grant.lease_id, request)

    outcomes = at_once(8, report)
    replies = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert len(replies) == 4
    assert all(reply == replies[0] for reply in replies)
    assert all(isinstance(o, LeaseLost) for o in outcomes if isinstance(o, Exception))
    assert invariants(database) == []


def test_reapers_beside_each_other_end_a_lease_once(clocked_database: Database, clock) -> None:
    experiment_id = created(clocked_database, worker_spec(optimizer={"pool_size": 4}))
    topped_up(clocked_database, experiment_id, 1, 2, 3)
    worker = registered(clocked_database)
    for _ in range(3):
        surely_claimed(clocked_database, worker)
    clock.advance(61)

    def reap(_: int) -> int:
        with clocked_database.write() as connection:
            return reap_leases(connection)

    assert sum(at_once(4, reap)) == 3
    assert invariants(clocked_database) == []


@pytest.mark.parametrize("meanwhile", ["heartbeat", "report", "another reaper"])
def test_what_comes_between_the_reapers_look_and_its_lock_counts(
    fresh_databases, clock, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """On PostgreSQL; SQLite lets nothing come between."""
    database = Database(fresh_databases.postgresql_url(), clock=clock)
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    grant = surely_claimed(database, registered(database))
    clock.advance(61)
    beat = Heartbeat(epoch=1)

    def other_deed() -> None:
        if meanwhile == "report":
            completed(database, grant)
            return
        with database.write() as connection:
            if meanwhile == "heartbeat":
                renew_lease(connection, grant.lease_id, beat, TIMES)
            else:
                assert reap_leases(connection) == 1

    def lock_late(connection, id_or_name):
        monkeypatch.undo()
        other_deed()
        return lock_experiment(connection, id_or_name)

    monkeypatch.setattr("service.use_cases.reap_leases.lock_experiment", lock_late)
    with database.write() as connection:
        assert reap_leases(connection) == 0
    with database.read() as connection:
        (trial,) = all_trials(connection, experiment_id)
    assert (
        trial.stages[0].status
        == {
            "heartbeat": "leased",
            "report": "completed",
            "another reaper": "ready",
        }[meanwhile]
    )
    assert invariants(database) == []
    database.dispose()


def test_a_heartbeat_waits_for_no_claim_or_report(fresh_databases) -> None:
    """On PostgreSQL; SQLite has one writer."""
    database = Database(fresh_databases.postgresql_url())
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    grant = surely_claimed(database, registered(database))
    beat = Heartbeat.model_validate(
        {
            "epoch": 1,
            "curve": [{"step": 1, "metrics": {"loss": 0.5}}],
            "log": {"offset": 0, "text": "one\n"},
        }
    )
    with database.write() as busy:
        lock_experiment(busy, experiment_id)
        with database.write() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            assert renew_lease(connection, grant.lease_id, beat, TIMES).command == "continue"
    assert invariants(database) == []
    database.dispose()


def test_the_same_heartbeat_sent_again_while_the_first_is_written_adds_nothing(
    database: Database,
) -> None:
    experiment_id = created(database, worker_spec())
    topped_up(database, experiment_id, 1)
    grant = surely_claimed(database, registered(database))
    points = [{"step": step, "metrics": {"loss": 1.0, "error": 0.5}} for step in range(600)]
    beat = Heartbeat.model_validate(
        {"epoch": 1, "curve": points, "log": {"offset": 0, "text": "one\n"}}
    )

    def send(_: int) -> str:
        with database.write() as connection:
            return renew_lease(connection, grant.lease_id, beat, TIMES).command

    assert at_once(4, send) == ["continue"] * 4
    with database.read() as connection:
        assert len(read_trial(connection, experiment_id, 0).curves) == 1200
        assert read_log(connection, experiment_id, 0) == "one\n"
    assert invariants(database) == []


def test_eight_loops_ask_and_tell_within_budget_and_max_parallel(database: Database) -> None:
    spec = external_spec(budget=12, max_parallel=3, optimizer={"pool_size": 12})
    experiment_id = created(database, spec)
    with database.write() as connection:
        some = [external_suggestion(width) for width in range(1, 20)]
        assert len(add_candidates(connection, experiment_id, some)) == 12

    def play(_: int) -> list[int]:
        told = []
        while True:
            try:
                with database.write() as connection:
                    reply = ask_trial(connection, experiment_id, AskRequest(), None)
            except NoCandidateReady:
                continue
            except Exception as error:
                if type(error).__name__ == "BudgetExhausted":
                    return told
                raise
            request = TellRequest(
                trial_number=reply.trial.number, epoch=reply.epoch, measurements={"score": 1.0}
            )
            with database.write() as connection:
                tell_trial(connection, experiment_id, request)
            told.append(reply.trial.number)

    outcomes = at_once(8, play)
    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    assert sorted(number for told in outcomes for number in told) == list(range(12))
    assert invariants(database) == []


def test_a_name_is_taken_once(database: Database) -> None:
    def create(_: int) -> object:
        with database.write() as connection:
            return create_experiment(connection, worker_spec(), REGISTRY).id

    outcomes = at_once(6, create)
    assert len([outcome for outcome in outcomes if isinstance(outcome, str)]) == 1
    assert len([outcome for outcome in outcomes if isinstance(outcome, NameTaken)]) == 5


def test_one_session_of_a_worker_is_current(database: Database) -> None:
    def register(_: int) -> object:
        with database.write() as connection:
            return register_worker(connection, registration("anna"), None, TIMES).worker_id

    outcomes = at_once(6, register)
    assert all(isinstance(outcome, str) for outcome in outcomes), outcomes
    with database.read() as connection:
        (current,) = list_workers(connection)
    assert current.id in outcomes


def test_a_deed_under_one_key_is_done_once(database: Database) -> None:
    experiment_id = created(database, worker_spec(budget=9, optimizer={"pool_size": 9}))
    deeds = []

    def request(index: int) -> tuple[int, str]:
        with database.write() as connection:
            kept = idempotency.look_up(connection, "key", "token", "hash")
            if kept is not None:
                return kept.status, kept.body_json
            add_candidates(connection, experiment_id, [suggestion(index + 1)])
            deeds.append(index)
            idempotency.keep(connection, "key", "token", "hash", 201, f"[{index}]")
            return 201, f"[{index}]"

    outcomes = at_once(6, request)
    assert len(deeds) == 1
    assert outcomes == [(201, f"[{deeds[0]}]")] * 6
    with database.read() as connection:
        assert len(all_trials(connection, experiment_id)) == 1


@pytest.mark.slow
def test_a_reader_of_events_misses_none(database: Database) -> None:
    ids = [created(database, worker_spec(name=f"e{i}", budget=30)) for i in range(4)]
    done = threading.Event()
    seen: list[int] = []

    def follow() -> None:
        while True:
            finished = done.is_set()
            with database.read() as connection:
                some = events_after(connection, seen[-1] if seen else 0, limit=50)
            seen.extend(event.id for event in some)
            if finished and not some:
                return

    def write(index: int) -> None:
        experiment_id = ids[index]
        worker = registered(database, f"w{index}", search_spaces=[{"name": "toy", "version": 3}])
        for width in range(1, 9):
            topped_up(database, experiment_id, width)
            grant = claimed(database, worker)
            if grant is not None:
                completed(database, grant)

    follower = threading.Thread(target=follow)
    follower.start()
    outcomes = at_once(4, write)
    done.set()
    follower.join(_LIMIT_S)
    assert [outcome for outcome in outcomes if outcome is not None] == []
    with database.read() as connection:
        everything = events_after(connection, 0, limit=100_000)
    assert seen == [event.id for event in everything]
    assert len(seen) > 60


def test_a_second_process_waits_for_the_first_on_sqlite(fresh_databases) -> None:
    url = fresh_databases.sqlite_url()
    one, two = Database(url), Database(url)
    holds, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with one.write() as connection:
            create_experiment(connection, worker_spec(name="first"), REGISTRY)
            holds.set()
            may_go.wait(_LIMIT_S)

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait(_LIMIT_S)
    threading.Timer(0.3, may_go.set).start()
    created(two, worker_spec(name="second"))
    holder.join(_LIMIT_S)
    with two.read() as connection:
        names = {read_experiment(connection, name).experiment.spec.name for name in ("first",)}
    assert names == {"first"}
    one.dispose()
    two.dispose()


def test_a_database_that_is_gone_is_unavailable(fresh_databases) -> None:
    gone = Database("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(Unavailable), gone.read():
        pass
    gone.dispose()
