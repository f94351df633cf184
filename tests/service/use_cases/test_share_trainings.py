"""Trials that differ in evaluation parameters alone share one training."""

from hashlib import sha256

import pytest

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameters import ChoiceParameter
from search_spaces.registry import InstalledSpace, Registry
from service.domain.measurement import Measurement
from service.domain.trial_seed import trial_seed
from service.optimizer.optimizer import Suggestion
from service.schemas.leases import FailRequest
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.storage.experiments import find_experiment
from service.storage.invariants import check_invariants
from service.use_cases.attach_trial import attach_trial
from service.use_cases.create_experiment import create_experiment
from service.use_cases.list_trials import all_trials
from service.use_cases.read_front import read_front
from service.use_cases.read_trial import read_trial
from service.use_cases.record_report import record_failure
from service.use_cases.store_artifact import record_artifact
from service.use_cases.top_up_candidates import add_candidates, history_request
from tests.conftest import FakeClock
from tests.service.toy_experiments import (
    TOY_SPACE,
    claimed,
    completed,
    registered,
    surely_claimed,
    worker_spec,
)

WEIGHTS = sha256(b"weights").hexdigest()


def nested_space(**changes):
    """The toy space with a precision to deploy in, which no training knows of."""
    space = TOY_SPACE.space.model_copy(
        update={
            "parameters": (
                *TOY_SPACE.space.parameters,
                ChoiceParameter(name="precision", values=("fp32", "int8")),
            ),
            "evaluation_parameters": ("precision",),
        }
    )
    baseline = Arm(parameters={**TOY_SPACE.baseline.parameters, "precision": "fp32"})
    given = {
        "name": "nested",
        "space": space,
        "baseline": baseline,
        "metrics": (
            MetricDefinition(name="loss", better="lower", stage="train"),
            MetricDefinition(name="error", unit="share", better="lower", stage="measure"),
        ),
    }
    return TOY_SPACE.model_copy(update=given | changes)


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


@pytest.fixture(autouse=True)
def _invariants_hold(database: Database):
    yield
    with database.read() as connection:
        assert check_invariants(connection) == []


def begun(database, space=None, **changes):
    registry = Registry([InstalledSpace(space or nested_space(), lambda: None)])
    # Nothing fills in at once: what waits is to be seen waiting.
    optimizer = {"pool_size": 9, "fallback_after_s": 600}
    given = {"search_space": "nested", "budget": 9, "optimizer": optimizer} | changes
    with database.write() as connection:
        return create_experiment(connection, worker_spec(**given), registry).id


def worker_of(database, name="anna", **changes):
    return registered(database, name, search_spaces=[{"name": "nested", "version": 3}], **changes)


def added(database, experiment_id, *arms, source="gp"):
    """Adds candidates of these (width, precision)."""
    suggestions = [
        Suggestion(
            arm=Arm(
                parameters={"width": width, "rate": 0.5, "pruned": True, "precision": precision}
            ),
            source=source,
        )
        for width, precision in arms
    ]
    with database.write() as connection:
        return [trial.number for trial in add_candidates(connection, experiment_id, suggestions)]


def trained(database, grant):
    with database.write() as connection:
        record_artifact(connection, WEIGHTS, 7)
    return completed(
        database,
        grant,
        measurements={"loss": 1.5},
        artifacts=[{"name": "network.safetensors", "sha256": WEIGHTS}],
    )


def measured(database, grant, error):
    return completed(database, grant, measurements={"latency_ms": 4.0 + error, "error": error})


def trial_of(database, experiment_id, number):
    with database.read() as connection:
        return all_trials(connection, experiment_id)[number]


def test_a_later_trial_takes_the_checkpoint_at_once(database: Database, clock: FakeClock) -> None:
    experiment_id = begun(database)
    trainer = worker_of(database, "trainer", stages=["train"])
    measurer = worker_of(database, "measurer", stages=["measure"])
    added(database, experiment_id, (5, "fp32"))
    first = surely_claimed(database, trainer)
    clock.advance(30)
    trained(database, first)

    added(database, experiment_id, (5, "int8"), (6, "int8"))
    second = trial_of(database, experiment_id, 1)
    train, measure = second.stages
    assert (train.status, train.epoch, train.shared_with) == ("completed", 0, 0)
    assert (second.status, measure.status) == ("candidate", "ready")
    assert second.measurements["loss"].mean == 1.5

    grants = [surely_claimed(database, measurer)]
    measured(database, grants[0], 0.2)
    grants.append(surely_claimed(database, measurer))
    assert [grant.trial_number for grant in grants] == [0, 1]
    assert grants[0].inputs == grants[1].inputs
    assert [(file.name, file.sha256) for file in grants[1].inputs] == [
        ("network.safetensors", WEIGHTS)
    ]
    clock.advance(4)
    assert measured(database, grants[1], 0.1).trial_status == "completed"
    assert surely_claimed(database, trainer).trial_number == 2  # another width, another training

    with database.read() as connection:
        front = read_front(connection, experiment_id)
        detail = read_trial(connection, experiment_id, 1)
    assert [artifact.sha256 for artifact in detail.artifacts] == [WEIGHTS]
    costs = {point.trial_number: point.cost for point in (*front.front, *front.others)}
    assert costs[0].spent_s == {"train": 30.0, "measure": 0.0}
    assert costs[0].shared_with is None
    assert costs[1].spent_s == {"train": 0.0, "measure": 4.0}
    assert costs[1].shared_with == 0


def test_it_waits_while_the_same_is_trained_and_others_go_first(database: Database) -> None:
    experiment_id = begun(database, max_parallel=9)
    worker = worker_of(database)
    added(database, experiment_id, (5, "fp32"), (5, "int8"), (6, "fp32"))
    first = surely_claimed(database, worker)
    other = surely_claimed(database, worker)
    assert [first.trial_number, other.trial_number] == [0, 2]
    assert claimed(database, worker) is None
    trained(database, first)
    assert trial_of(database, experiment_id, 1).stages[0].shared_with == 0
    measures = [surely_claimed(database, worker)]
    measured(database, measures[0], 0.3)
    measures.append(surely_claimed(database, worker))
    assert [(g.trial_number, g.stage_kind) for g in measures] == [(0, "measure"), (1, "measure")]


def test_one_training_serves_many_at_once_and_later(database: Database) -> None:
    experiment_id = begun(database)
    worker = worker_of(database)
    added(database, experiment_id, (5, "fp32"), (5, "int8"), (6, "int8"))
    with database.write() as connection:
        by_hand = {"width": 5, "rate": 0.5, "pruned": True, "precision": "int8"}
        attach_trial(connection, experiment_id, AttachRequest(parameters=by_hand))
    first = surely_claimed(database, worker)
    assert first.trial_number == 3  # chosen by hand
    trained(database, first)
    sharing = [trial_of(database, experiment_id, number).cost.shared_with for number in range(4)]
    assert sharing == [3, 3, None, None]


def test_if_that_training_fails_it_trains_itself(database: Database) -> None:
    experiment_id = begun(database)
    worker = worker_of(database)
    added(database, experiment_id, (5, "fp32"), (5, "int8"))
    first = surely_claimed(database, worker)
    assert claimed(database, worker) is None
    with database.write() as connection:
        failure = FailRequest(epoch=first.epoch, fault="recipe", message="broken")
        record_failure(connection, first.lease_id, failure)
    second = surely_claimed(database, worker)
    assert (second.trial_number, second.stage_kind) == (1, "train")
    trained(database, second)
    assert trial_of(database, experiment_id, 1).cost.shared_with is None


def test_those_that_share_a_training_share_its_seed(database: Database) -> None:
    experiment_id = begun(database, max_parallel=9)
    worker = worker_of(database)
    added(database, experiment_id, (5, "fp32"), (6, "fp32"))
    first, other = surely_claimed(database, worker), surely_claimed(database, worker)
    added(database, experiment_id, (5, "int8"))
    trained(database, first)
    measured(database, surely_claimed(database, worker), 0.2)
    twin = surely_claimed(database, worker)
    assert twin.trial_number == 2
    assert twin.seed == first.seed != other.seed
    keys = [trial_of(database, experiment_id, number).training_key for number in range(3)]
    assert keys[0] == keys[2] != keys[1]
    assert first.seed == trial_seed(0, 0, keys[0]) != trial_seed(0, 0)


def test_a_replicate_trains_for_itself(database: Database) -> None:
    experiment_id = begun(database, max_parallel=9)
    worker = worker_of(database)
    added(database, experiment_id, (5, "fp32"))
    trained(database, surely_claimed(database, worker))
    measured(database, surely_claimed(database, worker), 0.2)
    added(database, experiment_id, (5, "fp32"), source="replicate")
    replicate = trial_of(database, experiment_id, 1)
    assert (replicate.training_key, replicate.stages[0].status) == (None, "ready")


def test_measured_first_the_shared_training_completes_the_trial(database: Database) -> None:
    metrics = tuple(m.model_copy(update={"stage": "train"}) for m in nested_space().metrics)
    space = nested_space(measures_untrained=True, metrics=metrics)
    experiment_id = begun(database, space)
    worker = worker_of(database)
    added(database, experiment_id, (5, "fp32"), (5, "int8"))
    latency = {"measurements": {"latency_ms": Measurement(mean=4.0)}}
    completed(database, surely_claimed(database, worker), **latency)
    train = surely_claimed(database, worker)
    ahead = surely_claimed(database, worker)
    assert (train.stage_kind, ahead.trial_number, ahead.stage_kind) == ("train", 1, "measure")
    completed(database, train, measurements={"loss": 1.5, "error": 0.2})
    reply = completed(database, ahead, **latency)
    assert (reply.trial_status, reply.stage_status) == ("completed", "completed")
    second = trial_of(database, experiment_id, 1)
    assert second.measurements["error"].mean == 0.2
    assert second.cost.shared_with == 0
    assert claimed(database, worker) is None


def test_without_evaluation_parameters_nothing_is_shared(database: Database) -> None:
    plain = nested_space()
    plain = plain.model_copy(
        update={"space": plain.space.model_copy(update={"evaluation_parameters": ()})}
    )
    experiment_id = begun(database, plain)
    worker = worker_of(database)
    added(database, experiment_id, (5, "fp32"), (5, "int8"))
    assert [surely_claimed(database, worker).trial_number for _ in range(2)] == [0, 1]
    assert trial_of(database, experiment_id, 0).training_key is None


def test_a_narrowed_space_still_knows_its_evaluation_parameters(database: Database) -> None:
    fixed = {"type": "fixed", "name": "width", "value": 5}
    experiment_id = begun(database, parameters=[fixed])
    assert added(database, experiment_id, (5, "fp32"), (5, "int8")) == [0, 1]
    keys = [trial_of(database, experiment_id, number).training_key for number in (0, 1)]
    assert keys[0] == keys[1] is not None


def test_no_worker_waits_for_a_training_that_another_does(database: Database) -> None:
    instant = {"pool_size": 9, "fallback_after_s": 0, "strategy": "sobol"}
    experiment_id = begun(database, optimizer=instant, max_parallel=2)
    worker = worker_of(database)
    added(database, experiment_id, (5, "fp32"), (5, "int8"))
    assert surely_claimed(database, worker).trial_number == 0
    filled_in = surely_claimed(database, worker)
    assert filled_in.trial_number == 2  # a new arm, made at once
    assert claimed(database, worker) is None


def test_the_optimizer_is_told_what_stages_cost(database: Database, clock: FakeClock) -> None:
    """A training that another trial paid for is no training of 0 seconds."""
    experiment_id = begun(database)
    both = worker_of(database)
    added(database, experiment_id, (5, "fp32"), (5, "int8"))
    train = surely_claimed(database, both)
    clock.advance(30)
    trained(database, train)
    for seconds in (4, 8):
        measure = surely_claimed(database, both)
        clock.advance(seconds)
        measured(database, measure, 0.1 * seconds)
    with database.read() as connection:
        experiment = find_experiment(connection, experiment_id)
        request = history_request(connection, experiment)
    assert request.stage_costs_s == {"train": 30.0, "measure": 6.0}
