"""Asks the model what it makes of an experiment when results have come in, and keeps the answer."""

from collections.abc import Iterable

from sqlalchemy import Connection

from service.domain.experiment import MODEL_FREE_STRATEGIES, Experiment
from service.domain.insight import Forecast, Insight
from service.domain.stop_rules import expected_gain_verdict
from service.domain.trial import Trial
from service.optimizer.history import can_be_modelled
from service.optimizer.optimizer import SuggestRequest
from service.storage.clock import database_now
from service.storage.experiments import find_experiment, lock_experiment, raise_data_version
from service.storage.insights import find_insight, replace_insight, stale_insights
from service.storage.trials import trials_of_experiment
from service.use_cases.advance_trial import complete_experiment_if_done
from service.use_cases.apply_stop_rules import may_be_stopped, stop_search
from service.use_cases.top_up_candidates import history_request


def experiments_to_look_into(connection: Connection) -> list[tuple[str, int]]:
    """(id, ended trials) of experiments that the model has not seen as they stand now.

    Those without a model are left out, and so are those still in their initial trials: nothing
    would be asked of it there otherwise.
    """
    return [
        (stale.experiment_id, stale.ended_trials)
        for stale in stale_insights(connection)
        if stale.optimizer.strategy not in MODEL_FREE_STRATEGIES
        and stale.ended_trials >= (stale.optimizer.initial_trials or 0)
    ]


def insight_request(connection: Connection, experiment_id: str) -> SuggestRequest | None:
    """All that the model is to know; None where that is too little for a model.

    Raises: ExperimentNotFound.
    """
    experiment = find_experiment(connection, experiment_id)
    request = history_request(connection, experiment)
    return request if can_be_modelled(request) else None


def keep_insight(connection: Connection, experiment_id: str, insight: Insight) -> bool:
    """Keeps the insight unless a newer one is there; whether it was kept.

    Fills in which trials ran the arms. Where it expects too little, the stop rule ends the
    search. Raises: ExperimentNotFound.
    """
    experiment = lock_experiment(connection, experiment_id)
    earlier = find_insight(connection, experiment.id)
    if earlier is not None and earlier.observations > insight.observations:
        return False
    trials = trials_of_experiment(connection, experiment.id)
    named = insight.model_copy(
        update={
            "forecasts": _with_trials(insight.forecasts, trials),
            "predicted_front": _with_trials(insight.predicted_front, trials),
        }
    )
    now = database_now(connection)
    replace_insight(connection, experiment.id, named, now)
    raise_data_version(connection, experiment.id)
    _stop_if_little_expected(connection, experiment, insight)
    return True


def _stop_if_little_expected(
    connection: Connection, experiment: Experiment, insight: Insight
) -> None:
    rule = experiment.stop_rules.expected_gain
    if rule is None or not may_be_stopped(experiment):
        return
    initial_trials = experiment.spec.optimizer.initial_trials or 0
    verdict = expected_gain_verdict(
        rule, insight.relative_expected_gain, insight.observations, initial_trials
    )
    if verdict is not None:
        stop_search(connection, experiment, verdict, database_now(connection))
        complete_experiment_if_done(connection, experiment.id)


def _with_trials(forecasts: Iterable[Forecast], trials: Iterable[Trial]) -> tuple[Forecast, ...]:
    numbers: dict[str, list[int]] = {}
    for trial in trials:
        numbers.setdefault(trial.arm.signature, []).append(trial.number)
    return tuple(
        forecast.model_copy(
            update={"trial_numbers": tuple(numbers.get(forecast.arm.signature, ()))}
        )
        for forecast in forecasts
    )
