"""Insights made by hand, as a model would give them for `make_search`."""

from search_spaces.arm import Arm
from service.domain.insight import Forecast, Insight, Prediction
from service.domain.observed_front import observe_front, trace_hypervolume
from tests.service.made_trials import make_search


def make_insight(trials, objectives, *, tried=4, untried=3, **changes):
    """Forecasts of all trials; a front of every `tried`-th trial and some arms never tried."""
    metrics = [objective.metric for objective in objectives]
    forecasts = [
        Forecast(
            arm=trial.arm,
            trial_numbers=(trial.number,),
            predictions={
                metric: Prediction(
                    mean=0.97 * trial.measurements[metric].mean,
                    sd=0.05 * abs(trial.measurements[metric].mean),
                )
                for metric in metrics
            },
            probability_on_front=(trial.number % 11) / 10,
        )
        for trial in trials
    ]
    new = [
        Forecast(
            arm=Arm(parameters={"width": 5 + number, "activation": "relu", "gated": True}),
            predictions={
                metric: Prediction(mean=one.mean * (0.9 - 0.05 * number), sd=0.1 * abs(one.mean))
                for metric, one in forecasts[3 * number].predictions.items()
            },
        )
        for number in range(untried)
    ]
    given = {
        "forecasts": tuple(forecasts),
        "predicted_front": (*forecasts[:: len(forecasts) // tried], *new),
        "expected_gain": 0.05,
        "relative_expected_gain": 0.0123,
        "observations": len(trials),
        "strategy": "gp",
    }
    return Insight(**(given | changes))


def make_predicted_front(**named):
    """The front and the trace of `make_search`, with what a model makes of them."""
    experiment, trials = make_search(**named)
    insight = make_insight(trials, experiment.spec.objectives)
    return observe_front(experiment, trials, 2_000, insight), trace_hypervolume(experiment, trials)
