"""The server is killed: what it acknowledged is there, and the workers carry on."""

import threading
import time

from service.domain.errors import ArchfrontError
from service.domain.trial import AttemptOutcome
from tests.e2e.local_service import tiny_experiment
from tests.workers.waiting import eventually


def test_a_training_outlives_the_server(service):
    client = service.client(tries=1)
    spec = tiny_experiment("outage", budget=1, parameters={"steps": 150, "step_s": 0.04})
    experiment = client.create_experiment(spec).id
    worker = service.start_worker("one", "--stages", "train")
    assert eventually(lambda: list(client.list_trials(experiment)), 60)
    assert eventually(lambda: len(client.read_trial(experiment, 0).curves) > 10, 60)

    service.kill_server()
    service.start_server()

    assert worker.poll() is None
    assert eventually(lambda: client.read_trial(experiment, 0).attempts[-1].ended_at, 60)
    detail = client.read_trial(experiment, 0)
    # One attempt: the outage cost nothing of the work, and no point of the curve.
    assert [attempt.outcome for attempt in detail.attempts] == [AttemptOutcome.SUCCEEDED]
    assert [point.step for point in detail.curves] == list(range(1, 151))
    assert service.broken_invariants() == []


def test_what_was_acknowledged_is_there_after_a_kill(service):
    spec = {
        "name": "by-hand",
        "parameters": [{"type": "float", "name": "x", "low": 0.0, "high": 1.0}],
        "metrics": [{"name": "loss"}],
        "objectives": [{"metric": "loss", "goal": "minimize"}],
        "optimizer": {"strategy": "sobol"},
        "budget": 100_000,
    }
    experiment = service.client().create_experiment(spec).id
    acknowledged: list[tuple[int, float]] = []

    def attach_until_refused(client, first):
        try:
            for number in range(1_000_000):
                x = (number * 4 + first) / 4_000_000
                trial = client.attach_trial(experiment, {"x": x}, {"loss": x})
                acknowledged.append((trial.number, x))
        except ArchfrontError:
            pass

    threads = [
        threading.Thread(target=attach_until_refused, args=(service.client(tries=1), first))
        for first in range(4)
    ]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(acknowledged) > 40, 60)
    time.sleep(0.1)
    service.kill_server()
    for thread in threads:
        thread.join(30)
    service.start_server()

    kept = {trial.number: trial for trial in service.client().list_trials(experiment)}
    assert len(acknowledged) == len(set(acknowledged)) > 40
    for number, x in acknowledged:
        assert kept[number].arm.parameters["x"] == x
        assert kept[number].measurements["loss"].mean == x
    assert service.broken_invariants() == []
