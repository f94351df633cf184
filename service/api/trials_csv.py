"""Trials as CSV: one line each, named like the paths of the JSON."""

import csv
import io
from collections.abc import Iterator, Sequence

from service.domain.experiment import Experiment
from service.domain.trial import Trial

_LINES_PER_CHUNK = 200
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_lines(experiment: Experiment, trials: Sequence[Trial]) -> Iterator[str]:
    """The header and one line per trial, in chunks.

    Columns: number, status, source, reason and times; `parameters.<name>` (empty where
    inactive); `measurements.<metric>.mean` and `.sem`.
    """
    parameters = [parameter.name for parameter in experiment.space.parameters]
    metrics = [metric.name for metric in experiment.metrics]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(
        [
            "number",
            "status",
            "source",
            "reason",
            "created_at",
            "started_at",
            "ended_at",
            *(f"parameters.{name}" for name in parameters),
            *(f"measurements.{name}.{part}" for name in metrics for part in ("mean", "sem")),
        ]
    )
    for line, trial in enumerate(trials, 1):
        writer.writerow([_cell(value) for value in _values(trial, parameters, metrics)])
        if line % _LINES_PER_CHUNK == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _values(trial: Trial, parameters: list[str], metrics: list[str]) -> Iterator[object]:
    yield from (trial.number, trial.status.value, trial.source, trial.reason)
    for moment in (trial.created_at, trial.started_at, trial.ended_at):
        yield moment.isoformat() if moment is not None else None
    for name in parameters:
        yield trial.arm.parameters.get(name)
    for name in metrics:
        measurement = trial.measurements.get(name)
        yield measurement.mean if measurement is not None else None
        yield measurement.sem if measurement is not None else None


def _cell(value: object) -> object:
    """Numbers as they are; text that a spreadsheet would run as a formula gets an apostrophe."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
