"""Measures the energy of one inference by a machine's counter, over inferences back to back.

Gross: the counter counts all that the processor or GPU does meanwhile, what it takes at rest and
what neighbours do included. Nothing is subtracted, for a device at rest is another device.
"""

import time
from collections.abc import Callable
from typing import Protocol

from workers.errors import WorkerError
from workers.measurement.latency import Load
from workers.measurement.optional_figure import OptionalFigure

REPEATS = 5
"""Each of a freshly loaded session; they take turns among the inputs."""

_REPEAT_S = 2.0  # long beside the grain of the counters, a millisecond to a tenth of a second
_WARM_UP_RUNS = 3


class EnergyCounterStands(WorkerError):
    """The counter of energy has not moved while the device was at work."""


class EnergyCounter(Protocol):
    """name: what it counts, in words."""

    @property
    def name(self) -> str:
        """See `EnergyCounter`."""
        ...

    def read_mj(self) -> float:
        """Millijoules since some moment in the past; never falls."""
        ...


def measure_energy(
    load: Load,
    counter: EnergyCounter,
    wait: Callable[[], object] = lambda: None,
    repeat_s: float = _REPEAT_S,
) -> OptionalFigure:
    """Millijoules of one inference, in each of `REPEATS`.

    wait: until the device has done what was given to it.
    repeat_s: each repeat runs for so long, and for one inference at the least.
    Raises: EnergyCounterStands.
    """
    found, runs = [], 0
    for repeat in range(REPEATS):
        invoke = load(repeat)
        for _ in range(_WARM_UP_RUNS):
            invoke()
        wait()
        before_mj, end_s, done = counter.read_mj(), time.monotonic() + repeat_s, 0
        while done == 0 or time.monotonic() < end_s:
            invoke()
            wait()
            done += 1
        spent_mj = counter.read_mj() - before_mj
        if spent_mj <= 0:
            raise EnergyCounterStands(
                f"it stood still for {repeat_s:g} s ({counter.name}); this machine's energy cannot "
                "be measured"
            )
        found.append(spent_mj / done)
        runs += done
    return OptionalFigure(
        tuple(found),
        f"{counter.name}; gross, {REPEATS} repeats of {repeat_s:g} s back to back, {runs} "
        "inferences",
    )
