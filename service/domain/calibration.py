"""Whether a device has drifted: what the reference network takes on it, again and again.

Latencies are multiples of the reference's, so that a device which slows down alike for all
networks would go unnoticed by them. Its calibrations, each timed by itself, show it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import expm1
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AwareDatetime, Field

from search_spaces.values import Name, ShortText, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECENT = timedelta(days=1)
"""So much before the newest calibration begins what is compared with what was before."""

EARLIER = timedelta(days=8)
"""So much before the newest, calibrations no longer count: the device may have been another."""

FEWEST = 5
"""On either side of the comparison; where a day has fewer, the newest so many are the recent."""

MATTERS = 0.01
"""Drifts below this share are none: latencies are known no better (see `relative_ci`)."""

_RESAMPLES = 2_000


class Calibration(Value):
    """The reference network timed by itself on a device, in fresh sessions.

    clock: what it was timed by. latency_ms, sem_ms: median of one inference and its standard
        error, over `n` timed blocks.
    """

    reference: ShortText
    runtime: Name
    runtime_version: ShortText
    threads: Annotated[int, Field(ge=1)]
    clock: ShortText
    latency_ms: Annotated[float, Field(gt=0)]
    sem_ms: Annotated[float, Field(ge=0)]
    n: Annotated[int, Field(ge=1, le=2**53)]
    calibrated_at: AwareDatetime

    @property
    def series(self) -> "CalibrationSeries":
        """What it shares with those that it compares with on the same device."""
        return (self.reference, self.runtime, self.runtime_version, self.threads, self.clock)


CalibrationSeries: TypeAlias = tuple[str, str, str, int, str]
"""Reference, runtime, its version, threads, clock."""


class Drift(Value):
    """How much slower (positive) the reference has become, in percent, with its 95 % interval.

    recent, earlier: how many calibrations were compared; since: the first of the recent ones.
    """

    percent: float
    low_percent: float
    high_percent: float
    recent: int
    earlier: int
    since: datetime

    @property
    def is_alarming(self) -> bool:
        """Whether all of the interval lies beyond what matters."""
        return self.low_percent > 100 * MATTERS or self.high_percent < -100 * MATTERS

    def __str__(self) -> str:
        way = "slower" if self.percent > 0 else "faster"
        half_width = (self.high_percent - self.low_percent) / 2
        return (
            f"measures {abs(self.percent):.1f} % (± {half_width:.1f}) {way} since "
            f"{self.since:%Y-%m-%d %H:%M} UTC than in the week before"
        )


def drift_of(history: Sequence[Calibration]) -> Drift | None:
    """The medians of recent and of earlier calibrations of one series compared; None: too few.

    The interval is a bootstrap over calibrations, for they differ by more than their own errors
    tell: deterministic.
    """
    if not history:
        return None
    import numpy as np  # noqa: PLC0415  (workers and the command line have no use for it)

    in_order = sorted(history, key=lambda one: one.calibrated_at)
    newest = in_order[-1].calibrated_at
    counted = [one for one in in_order if one.calibrated_at >= newest - EARLIER]
    recent_count = sum(one.calibrated_at > newest - RECENT for one in counted)
    split = len(counted) - max(recent_count, FEWEST)
    earlier, recent = counted[: max(split, 0)], counted[max(split, 0) :]
    if len(earlier) < FEWEST:
        return None
    random = np.random.default_rng(0)
    growth = np.log(_medians(recent, random)) - np.log(_medians(earlier, random))
    low, high = np.quantile(growth[1:], (0.025, 0.975))
    return Drift(
        percent=_percent(growth[0]),
        low_percent=_percent(low),
        high_percent=_percent(high),
        recent=len(recent),
        earlier=len(earlier),
        since=recent[0].calibrated_at,
    )


def _medians(
    calibrations: Sequence[Calibration], random: "np.random.Generator"
) -> "NDArray[np.float64]":
    """The median latency, then those of the bootstrap's resamples."""
    import numpy as np  # noqa: PLC0415  (as above)

    latencies = np.array([one.latency_ms for one in calibrations])
    drawn = random.integers(0, len(latencies), (_RESAMPLES, len(latencies)))
    return np.concatenate(
        ([np.median(latencies)], np.median(latencies[drawn], axis=1)), dtype=np.float64
    )


def _percent(growth: float) -> float:
    return 100 * expm1(growth)
