"""Keeps a measurement on cores that are calm, waits for them, and tells where there were none.

A core is calm while its pace (`workers.measurement.pace`) is about the quickest that the device is
known to have. On a virtual machine each core is calm for about half of the time, and seldom none of
them is: before every round the measuring thread moves to the calmest.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workers.measurement.disturbance import KernelWatch, Watch

SLOW_PACE = 1.2
"""Times the quickest: between the clock's steps of a core left alone (up to 1.15 on the machine
that it was chosen on) and a neighbour on its other thread (mostly 1.3 and more)."""

_LOOK_AGAIN_S = 0.1


class Cores(Protocol):
    """Where the measuring thread is; paces are NaN where they cannot be told."""

    def move(self) -> float:
        """Goes to the quickest core there is now, and gives its pace in nanoseconds."""
        ...

    def pace_ns(self) -> float:
        """The pace where it is, in nanoseconds."""
        ...

    def watch(self) -> Watch:
        """Tells what happens where it is."""
        ...

    def rest(self, seconds: float) -> None:
        """Lets this time pass."""
        ...


class UnknownCores:
    """Those of which only the kernel tells, as where an accelerator computes: never called slow."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def move(self) -> float:
        """See `Cores`; stays where it is."""
        return math.nan

    def pace_ns(self) -> float:
        """See `Cores`."""
        return math.nan

    def watch(self) -> Watch:
        """See `Cores`."""
        return KernelWatch(self._threads)

    def rest(self, seconds: float) -> None:
        """See `Cores`; there is nothing to wait for."""


class CalmCores:
    """Seeks a calm core before every round, and keeps the rounds' paces.

    quickest_ns: the quickest pace that the device is known to have had; NaN where there is none
        yet. What is seen now may be quicker.
    may_wait: whether there is time to wait until a core is calm.
    """

    def __init__(self, cores: Cores, quickest_ns: float, may_wait: Callable[[], bool]) -> None:
        self.quickest_ns = quickest_ns
        self._cores = cores
        self._may_wait = may_wait
        self._before_ns = math.nan
        self._paces_ns: list[float] = []

    def begin_round(self) -> Watch:
        """Moves, maybe after a while; tells what happens there."""
        while True:
            self._before_ns = self._noted(self._cores.move())
            if not self._before_ns > SLOW_PACE * self.quickest_ns or not self._may_wait():
                return self._cores.watch()
            self._cores.rest(_LOOK_AGAIN_S)

    def end_round(self) -> None:
        """A round is as slow as the slower of its ends."""
        self._paces_ns.append(max(self._before_ns, self._noted(self._cores.pace_ns())))

    @property
    def paces_ns(self) -> NDArray[np.float64]:
        """Of each round so far."""
        return np.array(self._paces_ns)

    def _noted(self, pace_ns: float) -> float:
        self.quickest_ns = float(np.fmin(self.quickest_ns, pace_ns))
        return pace_ns


def on_calm_cores(paces_ns: NDArray[np.float64], quickest_ns: float) -> NDArray[np.bool_]:
    """Of each of R rounds, whether its cores were calm, for all one knows.

    paces_ns: R. quickest_ns: the quickest pace of the device.
    """
    calm: NDArray[np.bool_] = ~(paces_ns > SLOW_PACE * quickest_ns)
    return calm
