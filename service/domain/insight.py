"""What the model says of arms: values that are predicted, never measured."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from search_spaces.arm import Arm
from search_spaces.values import MetricName, Name, Value
from service.domain.objective import Objective

Probability = Annotated[float, Field(ge=0, le=1)]


class Prediction(Value):
    """A metric's predicted true value: normal around `mean` with `sd`, in the metric's unit.

    sd is the model's uncertainty about the true value, without the noise of a measurement.
    """

    mean: float
    sd: Annotated[float, Field(ge=0)]


class Forecast(Value):
    """What the model says of one arm.

    trial_numbers: the trials that have run it; empty for an arm that was never tried.
    probability_on_front: that no other arm tried so far is truly better; None: not told.
    """

    arm: Arm
    trial_numbers: tuple[int, ...] = ()
    predictions: dict[MetricName, Prediction]
    probability_on_front: Probability | None = None

    @property
    def is_tried(self) -> bool:
        """Whether some trial has run the arm."""
        return bool(self.trial_numbers)


class Insight(Value):
    """The model's view of the observed arms, of the front, and of what is still to be gained.

    forecasts: one for every observed feasible arm, repeats of an arm as one.
    predicted_front: the arms, tried or not, that the model's means put on the front.
    expected_gain: expected rise of the hypervolume by the best next arm, in the hypervolume's
        unit; relative_expected_gain: as a share of the hypervolume. None: not told.
    observations: how many ended trials it has learnt from. strategy: the model's name.
    seconds: how long it took.
    """

    forecasts: tuple[Forecast, ...] = ()
    predicted_front: tuple[Forecast, ...] = ()
    expected_gain: Annotated[float, Field(ge=0)] | None = None
    relative_expected_gain: Annotated[float, Field(ge=0)] | None = None
    observations: Annotated[int, Field(ge=0)]
    strategy: Name
    seconds: Annotated[float, Field(ge=0)] = 0.0


class PredictedFront(Value):
    """The front as the model sees it, beside the one that was observed.

    as_of_trials: how many ended trials the model had learnt from. newer_trials: how many have
        ended since; 0: it knows all there is.
    strategy: the model that says so.
    expected_gain: what the best next arm is expected to add to the hypervolume, in its unit;
        relative_expected_gain: as a share of it. None: not told.
    front: the arms, tried or not, that no other is predicted to beat; by the first objective,
        best first.
    """

    as_of_trials: int
    newer_trials: int
    strategy: str
    expected_gain: Annotated[float, Field(ge=0)] | None = None
    relative_expected_gain: Annotated[float, Field(ge=0)] | None = None
    front: tuple[Forecast, ...] = ()


def predicted_front(
    insight: Insight, ended_trials: int, objectives: Sequence[Objective]
) -> PredictedFront:
    """What of the insight stands beside the observed front, and how far it lags behind.

    ended_trials: how many trials there are by now that a model can learn from. Forecasts
    that lack an objective are left out; those of arms that were tried get their probability of
    being on the front, where it is told.
    """
    probabilities = probabilities_on_front(insight)

    def best_first(forecast: Forecast) -> list[float]:
        return [-one.sign * forecast.predictions[one.metric].mean for one in objectives]

    complete = [
        forecast.model_copy(
            update={
                "probability_on_front": probabilities.get(
                    forecast.arm.signature, forecast.probability_on_front
                )
            }
        )
        for forecast in insight.predicted_front
        if all(objective.metric in forecast.predictions for objective in objectives)
    ]
    return PredictedFront(
        as_of_trials=insight.observations,
        newer_trials=max(ended_trials - insight.observations, 0),
        strategy=insight.strategy,
        expected_gain=insight.expected_gain,
        relative_expected_gain=insight.relative_expected_gain,
        front=tuple(sorted(complete, key=best_first)),
    )


def probabilities_on_front(insight: Insight | None) -> dict[str, float]:
    """The probability of being on the front, by the arm's signature, where it is told."""
    if insight is None:
        return {}
    return {
        forecast.arm.signature: forecast.probability_on_front
        for forecast in insight.forecasts
        if forecast.probability_on_front is not None
    }
