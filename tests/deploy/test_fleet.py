"""What the compose file starts is a fleet that searches, whichever of its processes dies."""

import pytest

from service.domain.experiment import ExperimentStatus
from tests.deploy.fleet import client_at, free_port, status_of, wait_until_ready
from tests.e2e.local_service import tiny_experiment
from tests.workers.waiting import eventually


@pytest.mark.slow
def test_a_search_survives_the_death_of_an_api(fleet):
    first, second, health = free_port(), free_port(), free_port()
    # Both at once, on an empty database: one migrates, the other waits for it.
    dying = fleet.start_api(first)
    fleet.start_api(second)
    wait_until_ready(fleet, first, second)
    fleet.start_suggester()
    operator = fleet.command_line(
        "token",
        "create",
        "operator",
        "--offline",
        "--scope",
        "admin",
        "--scope",
        "read",
        "--scope",
        "write",
    )
    with client_at(second, operator) as client:
        assert len(client.list_tokens()) == 1, "the servers made tokens that nobody has"
        token = client.create_token("worker", ("work",)).secret
        fleet.start_worker(f"http://127.0.0.1:{first}", token, health)
        probe = f"http://127.0.0.1:{health}/healthz"
        assert eventually(lambda: status_of(probe) == 200, 60), fleet.log()
        spec = tiny_experiment("as-composed", budget=2, parameters={"steps": 20})
        experiment = client.create_experiment(spec).id

        def completed():
            return client.read_experiment(experiment).trial_counts["completed"]

        assert eventually(completed, 120), fleet.log()
        dying.kill()
        dying.wait()
        fleet.start_api(first)
        view = client.wait(experiment, poll_s=0.5, timeout_s=200)
        assert view.experiment.status is ExperimentStatus.COMPLETED
        assert view.trial_counts["completed"] == 2, fleet.log()
        assert eventually(lambda: status_of(probe) == 200, 30)
    assert fleet.command_line("doctor") == "All invariants hold."
