"""Reads what the trials of earlier experiments say about the arms of one that starts warm."""

from collections.abc import Sequence

from sqlalchemy import Connection

from service.domain.experiment import Experiment
from service.domain.trial import TrialStatus
from service.domain.warm_start import WarmStart, translate_arm, translate_measurements
from service.optimizer.optimizer import Observation, Source
from service.schemas.experiments import SourceView
from service.storage.experiments import find_experiment
from service.storage.taught_trials import TaughtTrial, taught_trials

MAX_TRIALS_OF_A_SOURCE = 1_000
"""Of a longer history the newest trials teach: a model costs more than linearly in their number."""


def sources_of(connection: Connection, experiment: Experiment) -> tuple[Source, ...]:
    """What an optimizer is to know of the earlier experiments, in the order they were named.

    Sources may still be running: what is final counts. A source without a trial that says
    something about an arm here is left out.
    """
    found = []
    for entry in experiment.spec.warm_start:
        source = find_experiment(connection, entry.experiment)
        taught = taught_trials(connection, source.id)
        observations = _observations(experiment, source, entry, taught)
        if observations:
            found.append(Source(name=source.spec.name, observations=observations))
    return tuple(found)


def views_of_sources(connection: Connection, experiment: Experiment) -> tuple[SourceView, ...]:
    """How much of each earlier experiment is used."""
    views = []
    for entry in experiment.spec.warm_start:
        source = find_experiment(connection, entry.experiment)
        taught = taught_trials(connection, source.id)
        views.append(
            SourceView(
                experiment_id=source.id,
                name=source.spec.name,
                status=source.status,
                final_trials=len(taught),
                used_trials=len(_observations(experiment, source, entry, taught)),
                metrics=entry.metrics,
                filled_parameters=entry.parameters,
                ignored_parameters=tuple(
                    name for name in source.space.by_name if name not in experiment.space.by_name
                ),
            )
        )
    return tuple(views)


def _observations(
    experiment: Experiment, source: Experiment, entry: WarmStart, taught: Sequence[TaughtTrial]
) -> tuple[Observation, ...]:
    """The newest trials with a legal arm here that measured a shared metric, or were infeasible.

    What a training gave that was stopped early is left out: it is worse than what the arm gives.
    """
    trained = {metric.name for metric in source.metrics if metric.stage == "train"}
    found = []
    for trial in taught:
        arm = translate_arm(trial.arm, experiment.space, entry.parameters)
        is_cut_short = trial.status is TrialStatus.EARLY_STOPPED
        measured = translate_measurements(
            {
                name: value
                for name, value in trial.measurements.items()
                if not (is_cut_short and name in trained)
            },
            entry.metrics,
        )
        if arm is not None and (measured or trial.status is TrialStatus.INFEASIBLE):
            found.append(Observation(arm=arm, status=trial.status, measurements=measured))
    return tuple(found[-MAX_TRIALS_OF_A_SOURCE:])
