"""A GPU whose time is made up: what is given to it takes as long as it is told to."""

import numpy as np


class FakeGpu:
    """waits: how often the host has waited for it."""

    def __init__(self) -> None:
        self.ns = 0
        self.waits = 0

    def give(self, ns: int) -> None:
        """Work of so many nanoseconds."""
        self.ns += ns

    def new_event(self) -> "FakeEvent":
        return FakeEvent(self)


class FakeEvent:
    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu = gpu
        self.ns: int | None = None

    def record(self) -> None:
        self.ns = self._gpu.ns

    def synchronize(self) -> None:
        assert self.ns is not None, "an event that was not recorded has nothing to wait for"
        self._gpu.waits += 1

    def elapsed_time(self, end_event: "FakeEvent") -> float:
        assert self.ns is not None
        assert end_event.ns is not None
        return float(np.float32((end_event.ns - self.ns) / 1e6))
