"""Axes of a chart: title, scale, and the range in which the front can be seen."""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.domain.objective import Objective

LOG_FROM_RATIO = 50.0
"""Positive values whose largest is so many times their smallest get a logarithmic axis."""

_MARGIN = 0.06
_REACH = 2.0
_MOST_DECADES = 8  # labelled
_LARGEST = 1e300
"""Ranges stay below this, so that their differences are finite."""


@dataclass(frozen=True)
class Axis:
    """One direction of a chart; `low` and `high` bound what is seen, in the metric's unit.

    sign: +1 where larger is better, -1 where smaller is, 0 where neither.
    """

    name: str
    title: str
    sign: int
    is_log: bool
    low: float
    high: float

    def shows(self, value: float) -> bool:
        """Whether `value` lies in the range seen."""
        return self.low <= value <= self.high

    @property
    def log_ticks(self) -> list[float]:
        """Where a logarithmic axis is labelled: round values, finer where it has few decades."""
        ratio = self.high / self.low
        leading = (1, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 100 else (1,)
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = range(first, last + 1, max(1, (last - first) // _MOST_DECADES))
        return [
            tick for decade in decades for one in leading if self.shows(tick := one * 10.0**decade)
        ]


def objective_title(objective: Objective, unit: str) -> str:
    """The metric, its unit and which way is better: `latency_ms [ms], lower is better`."""
    better = "higher" if objective.sign > 0 else "lower"
    bracketed = f" [{unit}]" if unit else ""
    return f"{objective.metric}{bracketed}, {better} is better"


def fit_axis(
    name: str, title: str, sign: int, wanted: Sequence[float], others: Iterable[float] = ()
) -> Axis:
    """An axis that shows all of `wanted`, and of `others` what lies not too far from them.

    A trial that diverged must not press the front into a corner: others farther off than
    twice the width of what is wanted stay outside the range.
    """
    others = list(others)
    everything = [*wanted, *others]
    smallest = min(everything, default=0.0)
    is_log = smallest > 0 and max(everything) >= LOG_FROM_RATIO * smallest
    wanted_at = [_position(value, is_log=is_log) for value in wanted or everything]
    low, high = min(wanted_at, default=0.0), max(wanted_at, default=1.0)
    reach = _REACH * _width(low, high, is_log=is_log)
    near = [
        position
        for position in (_position(value, is_log=is_log) for value in others)
        if low - reach <= position <= high + reach
    ]
    low, high = min([low, *near]), max([high, *near])
    margin = _MARGIN * _width(low, high, is_log=is_log)
    return Axis(
        name=name,
        title=title,
        sign=sign,
        is_log=is_log,
        low=_value(low - margin, is_log=is_log),
        high=_value(high + margin, is_log=is_log),
    )


def _position(value: float, *, is_log: bool) -> float:
    return math.log10(value) if is_log else max(-_LARGEST, min(value, _LARGEST))


def _value(position: float, *, is_log: bool) -> float:
    return 10.0 ** max(-300.0, min(position, 300.0)) if is_log else position


def _width(low: float, high: float, *, is_log: bool) -> float:
    if high > low:
        return high - low
    # a share of a subnormal number rounds to nothing
    return 1.0 if is_log or abs(low) < sys.float_info.min / _MARGIN else 2 * abs(low)
