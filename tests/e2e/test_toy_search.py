"""From the REST call to the front, with a stranger's search space and a real worker."""

import pytest

from service.domain.experiment import ExperimentStatus
from tests.e2e.local_service import tiny_experiment


@pytest.mark.slow
def test_a_search_ends_with_a_front_and_answers_a_pick(service):
    client = service.client()
    spec = tiny_experiment("toy", budget=2, parameters={"steps": 20})
    experiment = client.create_experiment(spec).id
    service.start_worker("both")
    view = client.wait(experiment, poll_s=0.5, timeout_s=240)
    assert view.experiment.status is ExperimentStatus.COMPLETED
    assert view.trial_counts["completed"] == 2, service.log("both")
    front = client.front(experiment)
    assert len(front.front) >= 1
    assert len(front.front) + front.others_total == 2
    for trial in client.list_trials(experiment):
        assert trial.measurements["error"].unit == "1"
        assert trial.measurements["latency_ms"].sem is not None
        assert trial.measurements["latency_ms"].protocol["runtime"] == "onnxruntime"
    assert client.pick(experiment, latency_ms=1_000.0).best is not None
    assert service.broken_invariants() == []
