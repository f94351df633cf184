"""Forecasts where a training ends from where it stands, by the learning curves of finished ones.

One finished training is one point of a straight line: its final value over what one metric of
its curve was at the same place. Places are counted in points, not in steps, for recipes report
at fixed shares of a training whose number of steps depends on the arm. The line's error, found by
leaving each training out in turn, is the forecast's: where beginnings say nothing about ends, the
forecast is as wide as the ends themselves.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = Mapping[str, Sequence[tuple[int, float]]]
"""By metric, its (step, value) in order of the steps."""

_LEAST_TRAININGS = 4
_SPAN_OF_NOTHING = 1e-12


@dataclass(frozen=True)
class FinishedTraining:
    """The learning curve of a training that ran to its end, and what it gave."""

    curve: Curve
    finals: Mapping[str, float]


@dataclass(frozen=True)
class EndForecast:
    """Student's t with `freedom` degrees around `mean`, stretched by `scale`.

    learnt_from: the metric of the curve that told most.
    """

    mean: float
    scale: float
    freedom: int
    learnt_from: str

    @property
    def deviation(self) -> float | None:
        """Standard deviation, in the metric's unit; None where so few trainings allow none."""
        if self.freedom <= 2:
            return None
        return self.scale * math.sqrt(self.freedom / (self.freedom - 2))


def forecast_end(
    curve: Curve, finished: Sequence[FinishedTraining], metric: str
) -> EndForecast | None:
    """Where `metric` will end; None if no finished training can be compared.

    Of the metrics in the curve the one whose line has the smallest error is taken.
    """
    forecasts = [
        found
        for name, points in sorted(curve.items())
        if points and (found := _forecast_by(name, points, finished, metric)) is not None
    ]
    return min(forecasts, key=lambda found: found.scale, default=None)


def last_step(curve: Curve) -> int:
    """The newest step of the curve; 0 of an empty one."""
    return max((points[-1][0] for points in curve.values() if points), default=0)


def _forecast_by(
    name: str,
    points: Sequence[tuple[int, float]],
    finished: Sequence[FinishedTraining],
    metric: str,
) -> EndForecast | None:
    place = len(points) - 1
    pairs = [
        (training.curve[name][place][1], training.finals[metric])
        for training in finished
        if metric in training.finals and len(training.curve.get(name, ())) > place
    ]
    if len(pairs) < _LEAST_TRAININGS:
        return None
    begun, ended = np.array(pairs, dtype=np.float64).T
    return _line(begun, ended, points[place][1], name)


def _line(
    begun: NDArray[np.float64], ended: NDArray[np.float64], now: float, name: str
) -> EndForecast:
    """The line through (begun, ended), read off at `now`."""
    centre, count = float(begun.mean()), len(begun)
    spread = float(((begun - centre) ** 2).sum())
    if spread <= _SPAN_OF_NOTHING * max(1.0, centre**2):
        slope, leverages, leverage = 0.0, np.full(count, 1 / count), 1 / count
    else:
        slope = float(((begun - centre) * (ended - ended.mean())).sum()) / spread
        leverages = 1 / count + (begun - centre) ** 2 / spread
        leverage = 1 / count + (now - centre) ** 2 / spread
    residuals = ended - ended.mean() - slope * (begun - centre)
    # Left out in turn, a training that alone decides the line cannot hide its error; where the
    # rest cannot decide one at all, their mean stands in for it.
    alone = 1 - leverages < _SPAN_OF_NOTHING**0.5
    others = (ended.sum() - ended) / (count - 1)
    left_out = np.where(alone, ended - others, residuals / np.where(alone, 1.0, 1 - leverages))
    error = float(np.sqrt((left_out**2).sum() / count))
    return EndForecast(
        mean=float(ended.mean()) + slope * (now - centre),
        scale=error * float(np.sqrt(1 + leverage)),
        freedom=count - 2,
        learnt_from=name,
    )
