"""The one contract of all benches: run, calibrate and time exported networks on one device."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from service.domain.device import DeviceProfile
from workers.measurement.latency import AloneTimings
from workers.measurement.on_device import Figures, Procedure
from workers.measurement.optional_figure import OptionalFigure
from workers.measurement.runnable import Runnable


class Bench(Protocol):
    """A device with what it takes to measure the networks of one runtime on it.

    What each can raise beside the errors named here: LoadFailed if the runtime there refuses the
    network (the arm's fault); GrantRefused and the other worker's errors (the machine's).
    All are held to tests/workers/benches/test_every_bench.py.
    """

    @property
    def device(self) -> str:
        """Identifies the physical device; see `OfferedTarget.device`."""
        ...

    @property
    def profile(self) -> DeviceProfile:
        """What the device is."""
        ...

    def runtime_version(self) -> str:
        """The version that runs there, which need not be the one that exported."""
        ...

    def clock(self, threads: int) -> str:
        """The name of the clock that pair ratios are taken of."""
        ...

    def answers(self, candidate: Runnable, threads: int) -> Sequence[Sequence[NDArray[Any]]]:
        """What the network answers on the device to each of its inputs, output by output."""
        ...

    def calibrate(
        self, reference: Runnable, threads: int, quickest_pace_ns: float = math.nan
    ) -> AloneTimings:
        """Times the reference with nothing beside it.

        quickest_pace_ns: the device's, as far as it is known; else NaN.
        """
        ...

    def figures(self, candidate: Runnable, reference: Runnable, procedure: Procedure) -> Figures:
        """The candidate's figures, timed against the reference. Raises: MemoryProbeDied."""
        ...

    def optional_figure(self, metric: str, candidate: Runnable, threads: int) -> OptionalFigure:
        """One of `OPTIONAL_METRICS` of the candidate, by its bare name.

        Raises: MetricNotGiven if the device cannot give it; InstructionCountFailed and
            EnergyCounterStands if it did not.
        """
        ...
