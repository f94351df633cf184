"""Stops trainings that will hardly end on the front, where the experiment asks for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from service.domain.early_stopping import EarlyStopping
from service.domain.experiment import Experiment
from service.domain.joining_front import front_of, probability_of_joining
from service.domain.learning_curves import Curve, forecast_end, last_step
from service.domain.trial import Trial, TrialStatus
from service.storage.attempts import experiments_with_open_leases
from service.storage.experiments import find_experiment, lock_experiment
from service.storage.learning_curves import (
    TrainingAttempt,
    finished_trainings,
    read_curves,
    trainings_under_way,
)
from service.storage.trials import find_trial, request_stop, trials_of_experiment
from service.use_cases.expected_ends import known_trainings


@dataclass(frozen=True)
class Judgement:
    """A training that is to be stopped, and why."""

    experiment_id: str
    trial_number: int
    lease_id: str
    probability: float
    bound: float
    step: int

    @property
    def reason(self) -> str:
        """As the trial tells it."""
        return (
            f"stopped at step {self.step}: it would join the front with a probability of "
            f"{self.probability:.4f}, less than {self.bound:g}"
        )


def experiments_to_judge(connection: Connection) -> list[Experiment]:
    """The experiments with early stopping on which stages are being worked off."""
    found = [find_experiment(connection, id_) for id_ in experiments_with_open_leases(connection)]
    return [experiment for experiment in found if experiment.spec.early_stopping is not None]


def judge_trainings(
    connection: Connection, experiment: Experiment, seen: Mapping[str, int] | None = None
) -> list[Judgement]:
    """The trainings under way that are to be stopped; nothing is changed.

    seen: by lease, the length of the curve that was judged before; only longer ones are.
    A training whose checkpoint other trials may share is left alone: it would pay for them too.
    """
    rule = experiment.spec.early_stopping
    seen = seen or {}
    running = [
        attempt
        for attempt in trainings_under_way(connection, experiment.id)
        if attempt.curve_points > seen.get(attempt.lease_id, 0)
    ]
    if rule is None or not running:
        return []
    finished = finished_trainings(connection, experiment.id)
    if len(finished) < rule.min_trials:
        return []
    trials = trials_of_experiment(connection, experiment.id)
    curves = read_curves(connection, [a.lease_id for a in (*running, *finished)])
    return _judge(experiment, rule, trials, running, finished, curves)


def stop_judged(connection: Connection, judgement: Judgement) -> bool:
    """Lets the training's worker be told to stop; false if it has ended or was told already."""
    experiment = lock_experiment(connection, judgement.experiment_id)
    trial = find_trial(connection, experiment.id, judgement.trial_number)
    held = any(stage.lease_id == judgement.lease_id for stage in trial.stages)
    if trial.status is not TrialStatus.RUNNING or trial.stop_requested is not None or not held:
        return False
    request_stop(connection, trial, "stop", judgement.reason)
    return True


def _judge(  # noqa: PLR0917
    experiment: Experiment,
    rule: EarlyStopping,
    trials: Sequence[Trial],
    running: Sequence[TrainingAttempt],
    finished: Sequence[TrainingAttempt],
    curves: Mapping[str, Curve],
) -> list[Judgement]:
    spec = experiment.spec
    by_id = {trial.id: trial for trial in trials}
    known = known_trainings(finished, curves, by_id)
    trained = [metric.name for metric in experiment.metrics if metric.stage == "train"]
    front = front_of(trials, spec)
    found = []
    for attempt in running:
        trial, curve = by_id[attempt.trial_id], curves[attempt.lease_id]
        if trial.training_key is not None or last_step(curve) < rule.min_steps:
            continue
        forecasts = {
            name: forecast
            for name in trained
            if (forecast := forecast_end(curve, known, name)) is not None
        }
        probability = probability_of_joining(spec, front, trial.measurements, forecasts)
        if probability is not None and probability < rule.probability_below:
            found.append(
                Judgement(
                    experiment_id=experiment.id,
                    trial_number=trial.number,
                    lease_id=attempt.lease_id,
                    probability=probability,
                    bound=rule.probability_below,
                    step=last_step(curve),
                )
            )
    return found
