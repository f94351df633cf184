"""A worker is killed in the midst of a real training: another goes on with it, to the same end."""

import psutil
import pytest

from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from service.domain.trial import AttemptOutcome, StageStatus
from tests.e2e.local_service import SHORT_TTL_S
from tests.workers.waiting import eventually

STEPS = 80

ARM = SEARCH_SPACE.baseline.parameters | {
    "width": 64,
    "layers": 1,
    "embedding_dim": 32,
    "head_dim": 16,
    "dropped_layers": 0,
    "dropout": 0.1,
    "ffn_pruning": "unstructured",
    "ffn_sparsity": 0.8,
    "embedding_sparsity": 0.5,
    "sparsity_schedule": "cubic",
}


def search(name):
    return {
        "name": name,
        "search_space": "nlu_encoder",
        "parameters": [
            {"type": "fixed", "name": key, "value": value}
            for key, value in SEARCH_SPACE.space.canonical(ARM).parameters.items()
        ],
        "objectives": [{"metric": "frame_error", "goal": "minimize"}],
        "measurement": {"untrained": False},  # trained first, and not measured here
        "optimizer": {"strategy": "sobol"},
        "training": {"max_steps": STEPS, "checkpoint_interval_s": 0.2},
        "budget": 1,
    }


def kill_at_once(process):
    """The worker and all that it has started."""
    family = psutil.Process(process.pid)
    for member in (family, *family.children(recursive=True)):
        member.kill()


@pytest.mark.slow
def test_a_killed_workers_training_is_gone_on_with_to_the_same_weights(short_leased_service):
    service = short_leased_service
    client = service.client()

    def trained(experiment):
        """The trial, once its training is done."""
        detail = client.read_trial(experiment, 0)
        return detail if detail.trial.stages[0].status is StageStatus.COMPLETED else None

    broken = client.create_experiment(search("broken")).id
    first = service.start_worker("one", "--stages", "train")
    assert eventually(lambda: list(client.list_trials(broken)), 60)
    with service.database() as database:
        assert eventually(lambda: kept_step(database) > STEPS // 20, 60), service.log("one")
    kill_at_once(first)
    whole = client.create_experiment(search("whole")).id
    # Its folder is another's: nothing of the first worker but the server's is at hand.
    service.start_worker("two", "--stages", "train", "--data", str(service.folder / "elsewhere"))
    assert eventually(lambda: trained(broken) and trained(whole), SHORT_TTL_S + 120), service.log(
        "two"
    )

    one, other = trained(broken), trained(whole)
    lost, recorded = one.attempts
    assert (lost.outcome, recorded.outcome) == (AttemptOutcome.LOST, AttemptOutcome.SUCCEEDED)
    assert recorded.resumed_after_step > STEPS // 20
    log = client.read_trial_log(broken, 0, stage="train")
    assert f"goes on from the checkpoint after {recorded.resumed_after_step} steps" in log
    assert one.curves == other.curves  # each point once
    assert one.trial.measurements == other.trial.measurements
    digests = [[a.sha256 for a in detail.artifacts] for detail in (one, other)]
    assert digests[0] == digests[1]  # every weight, bit by bit
    with service.database() as database:
        assert eventually(lambda: not checkpoint_files(database), 10)
    assert service.broken_invariants() == []


def kept_step(database):
    """After how many steps the checkpoint was taken that the server keeps; 0: none yet."""
    from sqlalchemy import text  # noqa: PLC0415

    with database.read() as connection:
        step = text("SELECT max(step) FROM checkpoints WHERE status = 'kept'")
        return connection.scalar(step) or 0


def checkpoint_files(database):
    from sqlalchemy import text  # noqa: PLC0415

    with database.read() as connection:
        return connection.execute(text("SELECT sha256 FROM checkpoints")).all()
