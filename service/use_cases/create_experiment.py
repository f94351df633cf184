"""Checks a spec against the installed search spaces and creates the experiment."""

from sqlalchemy import Connection
from search_spaces.registry import Registry
from service.domain.experiment import Experiment, ExperimentSpec


def validate_experiment(spec: ExperimentSpec, registry: Registry) -> ExperimentSpec:
    """The spec with everything resolved: version pinned, initial trials counted. See `service.use_cases.resolve_experiment.resolve_experiment(spec, registry) -> ResolvedExperiment(spec, space, metrics)` for more."""
    raise NotImplementedError


def create_experiment(
    connection: Connection, spec: ExperimentSpec, registry: Registry
) -> Experiment:
    """A running experiment. Raises: NameTaken, SearchSpaceNotFound, UnknownMetric, InvalidRequest."""
    raise NotImplementedError
