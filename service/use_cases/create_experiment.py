"""Checks a spec against the installed search spaces and creates the experiment."""

from sqlalchemy import Connection

from search_spaces.registry import Registry
from service.domain.experiment import Experiment, ExperimentSpec, ExperimentStatus
from service.storage.clock import database_now
from service.storage.experiments import insert_experiment, record_change
from service.storage.identifiers import new_id
from service.use_cases.resolve_experiment import resolve_experiment
from service.use_cases.resolve_runtimes import resolve_runtimes
from service.use_cases.resolve_warm_start import resolve_warm_start


def validate_experiment(spec: ExperimentSpec, registry: Registry) -> ExperimentSpec:
    """The spec that would be accepted, with all resolved but the earlier experiments it names.

    Raises: SearchSpaceNotFound, UnknownMetric, InvalidRequest.
    """
    return resolve_experiment(spec, registry).spec


def create_experiment(
    connection: Connection, spec: ExperimentSpec, registry: Registry
) -> Experiment:
    """A running experiment without trials.

    Raises: NameTaken, SearchSpaceNotFound, ExperimentNotFound, UnknownMetric, InvalidRequest.
    """
    resolved = resolve_experiment(spec, registry)
    warm = resolve_warm_start(connection, resolved)
    experiment = Experiment(
        id=new_id("experiment"),
        spec=resolve_runtimes(connection, warm, resolved.precisions),
        space=resolved.space,
        metrics=resolved.metrics,
        status=ExperimentStatus.RUNNING,
        budget_trials=resolved.spec.budget.trials,
        trials_created=0,
        data_version=1,
        created_at=database_now(connection),
    )
    insert_experiment(connection, experiment)
    record_change(
        connection, experiment.id, "experiment_created", data={"name": resolved.spec.name}
    )
    return experiment.model_copy(update={"data_version": 2})
