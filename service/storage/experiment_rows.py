"""An experiment's row as a value; what hardly ever changes in it is read once, not at each request.

Spec, space and metrics are some ten kilobytes of JSON with hundreds of values in it, and every
claim and every report locks, and so reads, its experiment.
"""

from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, Text, bindparam, select, type_coerce

from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from service.domain.experiment import Experiment, ExperimentSpec
from service.storage.tables import experiments

_KEPT = 128
"""So many documents of each kind are kept, whole and in parts: some tens of megabytes at most."""

_DOCUMENTS = ("spec", "space", "metrics")
_METRICS = TypeAdapter(tuple[MetricDefinition, ...])

EXPERIMENT_ROWS: Select[*tuple[Any, ...]] = select(
    *(type_coerce(experiments.c[name], Text).label(name) for name in _DOCUMENTS),
    *(experiments.c[name] for name in Experiment.model_fields if name not in _DOCUMENTS),
)
"""All that `as_experiment` wants, the documents as text."""

# Built once: to build these statements takes longer than to execute them.
FINDING = tuple(
    EXPERIMENT_ROWS.where(column == bindparam("id_or_name"))
    for column in (experiments.c.id, experiments.c.name)
)
"""By id, then by name."""

LOCKING = tuple(query.with_for_update(key_share=True) for query in FINDING)
"""The same, and the row is held."""


def as_experiment(row: Row[Any]) -> Experiment:
    """The experiment of a row of `EXPERIMENT_ROWS`."""
    documents = {
        "spec": _spec(row.spec),
        "space": _space(row.space),
        "metrics": _metrics(row.metrics),
    }
    return Experiment.model_validate({**row._mapping, **documents})  # noqa: SLF001  (a public name)


# By the whole text, so that a document that was changed is another; values never change.
@lru_cache(maxsize=_KEPT)
def _spec(text: str) -> ExperimentSpec:
    return ExperimentSpec.model_validate_json(text)


@lru_cache(maxsize=_KEPT)
def _space(text: str) -> ParameterSpace:
    return ParameterSpace.model_validate_json(text)


@lru_cache(maxsize=_KEPT)
def _metrics(text: str) -> tuple[MetricDefinition, ...]:
    return _METRICS.validate_json(text)
