"""Arms that differ in an evaluation parameter alone, through real processes: trained once."""

import pytest

from service.domain.experiment import ExperimentStatus


@pytest.mark.slow
def test_one_training_serves_all_the_gates(service):
    client = service.client()
    spec = {
        "name": "gates",
        "search_space": "tiny-nested@1",
        "parameters": [
            {"type": "fixed", "name": "width", "value": 16},
            {"type": "fixed", "name": "steps", "value": 300},
        ],
        "objectives": [
            {"metric": "error", "goal": "minimize"},
            {"metric": "latency_ms", "goal": "minimize"},
        ],
        "optimizer": {"strategy": "sobol"},
        "measurement": {"min_pairs": 16, "relative_ci": 0.5, "time_limit_s": 1.0},
        "budget": 3,
    }
    experiment = client.create_experiment(spec).id
    service.start_worker("both")
    view = client.wait(experiment, poll_s=0.5, timeout_s=240)
    assert view.experiment.status is ExperimentStatus.COMPLETED, service.log("both")
    details = [client.read_trial(experiment, number) for number in range(3)]
    trainers = [d.trial.number for d in details if d.trial.cost.shared_with is None]
    assert len(trainers) == 1
    assert {d.trial.cost.shared_with for d in details} == {None, *trainers}
    files = {
        artifact.sha256
        for detail in details
        for artifact in detail.artifacts
        if artifact.name == "network.safetensors"
    }
    assert len(files) == 1
    errors = [d.trial.measurements["error"].mean for d in details]
    assert len(set(errors)) == 3
    assert service.broken_invariants() == []
