"""The model's front as marks: where its means put the arms, tried ones apart from the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.front import Front
from service.domain.insight import Forecast

MAX_UNTRIED = 12
"""So many arms that were never tried are drawn at most: their error bars would hide the rest."""


@dataclass(frozen=True)
class PredictedMark:
    """An arm in a panel where the model's means put it; the standard deviations are its doubt."""

    forecast: Forecast
    x: float
    y: float
    x_sd: float
    y_sd: float


@dataclass(frozen=True)
class PredictedGroup:
    """Marks of one kind, with the name that the legend gives them."""

    name: str
    is_tried: bool
    marks: tuple[PredictedMark, ...]


def predicted_groups(front: Front, along: str, upright: str) -> tuple[PredictedGroup, ...]:
    """The arms on the model's front, those tried before those that never were, none of them empty.

    along, upright: the metrics of the two axes. Of many arms that were never tried some are
    taken, evenly spaced along the front with both its ends; the name says of how many.
    """
    if front.predicted is None:
        return ()
    tried = [one for one in front.predicted.front if one.is_tried]
    untried = [one for one in front.predicted.front if not one.is_tried]
    drawn = _evenly_spaced(untried)
    count = str(len(untried)) if drawn == untried else f"{len(drawn)} of {len(untried)}"
    groups = (
        (f"predicted front ({len(tried)})", True, tried),
        (f"predicted, never tried ({count})", False, drawn),
    )
    return tuple(
        PredictedGroup(name, is_tried, tuple(_mark(one, along, upright) for one in arms))
        for name, is_tried, arms in groups
        if arms
    )


def _evenly_spaced(forecasts: Sequence[Forecast]) -> Sequence[Forecast]:
    if len(forecasts) <= MAX_UNTRIED:
        return forecasts
    last = len(forecasts) - 1
    return [forecasts[n * last // (MAX_UNTRIED - 1)] for n in range(MAX_UNTRIED)]


def _mark(forecast: Forecast, along: str, upright: str) -> PredictedMark:
    x, y = forecast.predictions[along], forecast.predictions[upright]
    return PredictedMark(forecast=forecast, x=x.mean, y=y.mean, x_sd=x.sd, y_sd=y.sd)
