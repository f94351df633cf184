"""A worker is killed in the middle of a training: another does it, and it counts once."""

import time

from service.domain.trial import AttemptOutcome, StageStatus
from tests.e2e.local_service import SHORT_TTL_S, tiny_experiment
from tests.workers.waiting import eventually


def test_a_killed_workers_stage_is_leased_again_in_time_and_recorded_once(
    short_leased_service,
):
    service = short_leased_service
    client = service.client()
    spec = tiny_experiment("death", budget=1, parameters={"steps": 100, "step_s": 0.04})
    experiment = client.create_experiment(spec).id
    workers = {name: service.start_worker(name, "--stages", "train") for name in ("one", "two")}

    def attempts():
        return client.read_trial(experiment, 0).attempts

    def curve():
        return client.read_trial(experiment, 0).curves

    assert eventually(lambda: list(client.list_trials(experiment)), 60)
    assert eventually(lambda: len(curve()) > 10, 60), service.log("one")
    names = {worker.id: worker.name for worker in client.list_workers()}
    workers[names[attempts()[0].worker_id]].kill()
    killed_s = time.monotonic()
    assert eventually(lambda: len(attempts()) == 2, SHORT_TTL_S + 5)
    assert time.monotonic() - killed_s <= SHORT_TTL_S + 5
    assert attempts()[1].worker_id != attempts()[0].worker_id

    assert eventually(lambda: attempts()[1].ended_at is not None, 60)
    assert [a.outcome for a in attempts()] == [AttemptOutcome.LOST, AttemptOutcome.SUCCEEDED]
    assert [a.epoch for a in attempts()] == [1, 2]
    detail = client.read_trial(experiment, 0)
    train = detail.trial.stages[0]
    assert (train.status, train.epoch) == (StageStatus.COMPLETED, 2)
    # Only the winning attempt's curve is shown, whole.
    assert [point.step for point in detail.curves] == list(range(1, 101))
    assert [artifact.name for artifact in detail.artifacts] == ["network.safetensors"]
    assert "training {" in client.read_trial_log(experiment, 0, stage="train")
    assert service.broken_invariants() == []
