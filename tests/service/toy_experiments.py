"""A small search space, experiments over it, and a worker's way through a trial."""

from typing import Any

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import BoolParameter, FloatParameter, IntParameter
from search_spaces.registry import InstalledSpace, Registry
from search_spaces.space import Citation, SearchSpace
from service.domain.experiment import ExperimentSpec
from service.domain.lease import LeaseTimes
from service.optimizer.optimizer import Suggestion
from service.schemas.leases import CompleteRequest, LeaseGrant, ReportReply
from service.schemas.workers import WorkerRegistration
from service.storage.database import Database
from service.use_cases.create_experiment import create_experiment
from service.use_cases.lease_trial import lease_trial
from service.use_cases.record_report import record_complete
from service.use_cases.register_worker import register_worker
from service.use_cases.top_up_candidates import add_candidates
from tests.service.offered_targets import offered

TIMES = LeaseTimes()

TOY_SPACE = SearchSpace(
    name="toy",
    version=3,
    title="Toy",
    description="For tests.",
    citation=Citation(title="None", authors="Nobody", year=2026),
    space=ParameterSpace(
        parameters=(
            IntParameter(name="width", low=1, high=100_000),
            FloatParameter(name="rate", low=1e-5, high=1.0, scale="log"),
            BoolParameter(name="pruned"),
        )
    ),
    metrics=(
        MetricDefinition(name="error", unit="share", better="lower", stage="train"),
        MetricDefinition(name="loss", better="lower", stage="train"),
    ),
    baseline=Arm(parameters={"width": 10, "rate": 0.1, "pruned": False}),
)


def _no_recipe() -> Any:
    raise AssertionError("the service never loads a recipe")


QUICK_TOY_SPACE = TOY_SPACE.model_copy(update={"name": "quick-toy", "measures_untrained": True})
"""The same, but for its arms being measured before they are trained."""

BOTH_TOY_SPACES = [{"name": space, "version": 3} for space in ("toy", "quick-toy")]

REGISTRY = Registry(InstalledSpace(space, _no_recipe) for space in (TOY_SPACE, QUICK_TOY_SPACE))


def waiting(optimizer: dict[str, Any]) -> dict[str, Any]:
    """Optimizer settings under which the test alone decides what is in the pool."""
    return {"fallback_after_s": 3_600.0} | optimizer


def worker_spec(**changes: Any) -> ExperimentSpec:
    """Two objectives over the toy space, run by workers; only the test fills the pool."""
    given = {
        "name": "toy-search",
        "search_space": "toy",
        "objectives": [
            {"metric": "error", "goal": "minimize"},
            {"metric": "latency_ms", "goal": "minimize"},
        ],
        "budget": 6,
        "max_parallel": 3,
    }
    changes["optimizer"] = waiting(changes.get("optimizer", {}))
    return ExperimentSpec.model_validate(given | changes)


def external_spec(**changes: Any) -> ExperimentSpec:
    """One objective over a space of its own, run through ask and tell; see `worker_spec`."""
    given = {
        "name": "elsewhere",
        "parameters": [{"type": "int", "name": "width", "low": 1, "high": 100_000}],
        "objectives": [{"metric": "score", "goal": "maximize"}],
        "budget": 4,
        "max_parallel": 2,
    }
    changes["optimizer"] = waiting(changes.get("optimizer", {}))
    return ExperimentSpec.model_validate(given | changes)


def registration(name: str = "anna", **changes: Any) -> WorkerRegistration:
    """A worker that can do all of the toy space."""
    device = changes.get("device", f"device-of-{name}")
    given = {
        "name": name,
        "device": device,
        "slots": 4,
        "search_spaces": [{"name": "toy", "version": 3}],
        "targets": [offered(device=device)],
    }
    return WorkerRegistration.model_validate(given | changes)


def created(database: Database, spec: ExperimentSpec) -> str:
    """The id of a new experiment."""
    with database.write() as connection:
        return create_experiment(connection, spec, REGISTRY).id


def registered(database: Database, name: str = "anna", **changes: Any) -> str:
    """The id of a new worker."""
    with database.write() as connection:
        return register_worker(connection, registration(name, **changes), None, TIMES).worker_id


def suggestion(width: int) -> Suggestion:
    """An arm of the toy space."""
    return Suggestion(
        arm=Arm(parameters={"width": width, "rate": 0.5, "pruned": True}), source="sobol"
    )


def external_suggestion(width: int) -> Suggestion:
    """An arm of the external experiment."""
    return Suggestion(arm=Arm(parameters={"width": width}), source="sobol")


def topped_up(database: Database, experiment_id: str, *widths: int) -> list[int]:
    """Adds candidates of these widths; gives the numbers of those that found room."""
    with database.write() as connection:
        added = add_candidates(connection, experiment_id, [suggestion(w) for w in widths])
        return [trial.number for trial in added]


def claimed(database: Database, worker_id: str) -> LeaseGrant | None:
    """What the worker is given next."""
    with database.write() as connection:
        return lease_trial(connection, worker_id, TIMES)


def surely_claimed(database: Database, worker_id: str) -> LeaseGrant:
    """What the worker is given next; there is something."""
    grant = claimed(database, worker_id)
    assert grant is not None
    return grant


def result_of(grant: LeaseGrant, **changes: Any) -> CompleteRequest:
    """A good result of the stage."""
    latencies = [name for name in grant.metrics if name.startswith("latency_ms")]
    trained = {"error": 0.25, "loss": 1.5}
    measured = trained if grant.stage_kind == "train" else dict.fromkeys(latencies, 4.0)
    given = {"epoch": grant.epoch, "measurements": measured}
    return CompleteRequest.model_validate(given | changes)


def completed(database: Database, grant: LeaseGrant, **changes: Any) -> ReportReply:
    """The answer to a good result of the stage."""
    with database.write() as connection:
        return record_complete(connection, grant.lease_id, result_of(grant, **changes))
