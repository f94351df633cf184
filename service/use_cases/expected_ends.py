"""Where trainings that were stopped early would have ended, for those who learn from trials."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from service.domain.experiment import MODEL_FREE_STRATEGIES, Experiment
from service.domain.learning_curves import Curve, EndForecast, FinishedTraining, forecast_end
from service.domain.measurement import Measurement
from service.domain.trial import AttemptOutcome, StageStatus, Trial, TrialStatus
from service.storage.learning_curves import TrainingAttempt, finished_trainings, read_curves


def expected_ends(
    connection: Connection, experiment: Experiment, trials: Sequence[Trial]
) -> dict[str, dict[str, Measurement | None]]:
    """By the id of each trial whose training was stopped: what its metrics would have become.

    For the metrics of the goals alone. None: nothing can be told of it, since no finished training
    can be compared or too few are there for an error. Each forecast is made anew from all that has
    been trained by now; it is kept nowhere.
    """
    stopped = {trial.id for trial in trials if _was_training_stopped(trial)}
    metrics = _trained_metrics_of_goals(experiment)
    if not stopped or not metrics or experiment.spec.optimizer.strategy in MODEL_FREE_STRATEGIES:
        return {}
    ended = finished_trainings(connection, experiment.id, AttemptOutcome.EARLY_STOPPED)
    finished = finished_trainings(connection, experiment.id)
    curves = read_curves(connection, [a.lease_id for a in (*ended, *finished)])
    known = known_trainings(finished, curves, {trial.id: trial for trial in trials})
    reached = {attempt.trial_id: curves[attempt.lease_id] for attempt in ended}
    return {
        trial_id: {
            metric: _as_measurement(forecast_end(reached.get(trial_id, {}), known, metric))
            for metric in metrics
        }
        for trial_id in stopped
    }


def known_trainings(
    finished: Sequence[TrainingAttempt], curves: Mapping[str, Curve], trials: Mapping[str, Trial]
) -> list[FinishedTraining]:
    """The finished trainings with their curves and what their trials measured; trials: by id."""
    return [
        FinishedTraining(
            curve=curves[attempt.lease_id],
            finals={name: m.mean for name, m in trials[attempt.trial_id].measurements.items()},
        )
        for attempt in finished
    ]


def _was_training_stopped(trial: Trial) -> bool:
    """Whether the training itself was cut short, rather than what came after it."""
    return trial.status is TrialStatus.EARLY_STOPPED and any(
        stage.kind == "train" and stage.status is StageStatus.EARLY_STOPPED
        for stage in trial.stages
    )


def _trained_metrics_of_goals(experiment: Experiment) -> list[str]:
    spec = experiment.spec
    goals = {objective.metric for objective in spec.objectives}
    goals |= {constraint.metric for constraint in spec.outcome_constraints}
    return [m.name for m in experiment.metrics if m.stage == "train" and m.name in goals]


def _as_measurement(forecast: EndForecast | None) -> Measurement | None:
    if forecast is None or forecast.deviation is None:
        return None
    return Measurement(mean=forecast.mean, sem=forecast.deviation)
