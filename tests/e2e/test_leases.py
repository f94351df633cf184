"""Leases over HTTP under contention and delay: nothing counts twice, the budget is exact."""

import sqlite3
import threading

import pytest

from search_spaces.metric import MEASURED_METRICS
from service.domain.errors import LeaseLost
from service.domain.experiment import ExperimentStatus
from service.schemas.leases import CompleteRequest, Heartbeat
from service.schemas.workers import WorkerRegistration
from tests.e2e.local_service import SHORT_TTL_S, tiny_experiment
from tests.service.offered_targets import offered
from tests.workers.waiting import eventually

TRAINED = {"error": 0.5}
MEASURED = {metric.name: 1.0 for metric in MEASURED_METRICS}


def register(client, name, **changes):
    given = {
        "name": name,
        "device": name,
        "search_spaces": [{"name": "tiny", "version": 1}],
        "targets": [offered(device=name)],
    }
    return client.register_worker(WorkerRegistration.model_validate(given | changes)).worker_id


def result(grant):
    measurements = TRAINED if grant.stage_kind == "train" else MEASURED
    return CompleteRequest.model_validate({"epoch": grant.epoch, "measurements": measurements})


def rows(service):
    connection = sqlite3.connect(f"file:{service.data / 'archfront.db'}?mode=ro", uri=True)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_late_report_under_an_old_epoch_changes_no_row(short_leased_service):
    service = short_leased_service
    client = service.client()
    experiment = client.create_experiment(tiny_experiment("late", budget=1)).id
    slow, quick = register(client, "slow"), register(client, "quick")
    late = None
    while late is None:
        late = client.claim(slow, 5.0)

    def again():
        return client.claim(quick, 1.0)

    taken = None
    for _ in range(int(SHORT_TTL_S) + 10):
        taken = again()
        if taken is not None:
            break
    assert (late.epoch, taken.epoch) == (1, 2)
    assert taken.trial_number == late.trial_number

    before = rows(service)
    for epoch in (1, 2):  # also with the right epoch under the wrong lease
        with pytest.raises(LeaseLost):
            client.complete(late.lease_id, result(late).model_copy(update={"epoch": epoch}))
        with pytest.raises(LeaseLost):
            client.heartbeat(late.lease_id, Heartbeat(epoch=epoch))
    assert rows(service) == before

    assert client.complete(taken.lease_id, result(taken)).stage_status == "completed"
    assert client.read_trial(experiment, 0).trial.measurements["error"].mean == 0.5
    assert service.broken_invariants() == []


def test_fifty_trials_of_budget_with_eight_workers_are_exactly_fifty(service):
    client = service.client()
    experiment = client.create_experiment(
        tiny_experiment("fifty", budget=50, max_parallel=8, parameters={"steps": 1})
        | {"parameters": []}
    ).id
    done = threading.Event()
    claimed: list[str] = []
    errors: list[Exception] = []

    def work(number):
        mine = service.client()
        worker_id = register(mine, f"worker-{number}")
        try:
            while not done.is_set():
                grant = mine.claim(worker_id, 1.0)
                if grant is not None:
                    claimed.append(grant.lease_id)
                    mine.heartbeat(grant.lease_id, Heartbeat(epoch=grant.epoch))
                    mine.complete(grant.lease_id, result(grant))
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        assert eventually(
            lambda: (
                errors
                or client.read_experiment(experiment).experiment.status
                is ExperimentStatus.COMPLETED
            ),
            120,
        )
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
    assert errors == []
    view = client.read_experiment(experiment)
    assert {status: n for status, n in view.trial_counts.items() if n} == {"completed": 50}
    assert view.experiment.trials_created == 50
    trials = list(client.list_trials(experiment))
    assert sorted(trial.number for trial in trials) == list(range(50))
    assert len(claimed) == len(set(claimed)) == 100  # each stage of each trial once
    assert service.broken_invariants() == []
