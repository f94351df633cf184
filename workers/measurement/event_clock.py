"""The GPU's own clock: nanoseconds between CUDA events on its time line."""

from collections.abc import Callable
from typing import Protocol

_NS_IN_MS = 1e6


class Event(Protocol):
    """The part of `torch.cuda.Event(enable_timing=True)` that is used."""

    def record(self) -> None:
        """Puts the event behind all work that was given to the GPU so far."""
        ...

    def synchronize(self) -> None:
        """Waits until the GPU has come to it."""
        ...

    def elapsed_time(self, end_event: "Event") -> float:
        """Milliseconds from this event to a later one, float32."""
        ...


class EventClock:
    """Reading it waits for the GPU, so that a block of inferences is timed whole.

    What the GPU waits for the host between two kernels counts: it is part of a latency.
    """

    def __init__(self, new_event: Callable[[], Event]) -> None:
        self._new_event = new_event
        self._last: Event | None = None
        self._ns = 0.0

    def __call__(self) -> int:
        """Nanoseconds since the first reading.

        Summed up from reading to reading: CUDA tells milliseconds in float32, whose grain after
        a minute would be 4 us.
        """
        event = self._new_event()
        event.record()
        event.synchronize()
        if self._last is not None:
            self._ns += self._last.elapsed_time(event) * _NS_IN_MS
        self._last = event
        return round(self._ns)
