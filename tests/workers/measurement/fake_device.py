"""A device whose time is made up: inferences advance its clocks by what they are told to take."""

import math
from collections.abc import Callable

from workers.measurement.disturbance import Disturbance, Watch
from workers.measurement.timed_block import Clocks, Invoke


class FakeDevice:
    """It also is the `Cores` that the thread is on, and the `Watch` of what `disturb` made up.

    Has the core for itself unless `preempted_ns` is set: then only the wall clock goes on.
    pace: of its cores at a move or a look, by the wall clock in ns; unknown unless set.
    """

    def __init__(self) -> None:
        self.work_ns = 0
        self.wall_ns = 0
        self.runs = 0
        self.load = 1.0
        self.preempted_ns = 0
        self.moves = 0
        self.pace: Callable[[int], float] = lambda _: math.nan
        self.disturbances: dict[Disturbance, int] = {"preempted": 0, "throttled": 0}
        self.clocks = Clocks(lambda: self.work_ns, lambda: self.wall_ns, "thread_cpu_time")

    def move(self) -> float:
        self.moves += 1
        return self.pace_ns()

    def pace_ns(self) -> float:
        return self.pace(self.wall_ns)

    def watch(self) -> Watch:
        return self

    def rest(self, seconds: float) -> None:
        self.wall_ns += round(seconds * 1e9)

    @property
    def watched(self) -> tuple[Disturbance, ...]:
        return tuple(self.disturbances)

    def look(self) -> tuple[int, ...]:
        return tuple(self.disturbances.values())

    def between(self, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[Disturbance, ...]:
        pairs = zip(self.disturbances, before, after, strict=True)
        return tuple(what for what, earlier, later in pairs if later > earlier)

    def network(self, inference_ns: Callable[[int], float] | float) -> Invoke:
        """A network whose n-th run takes `inference_ns(n)`, or always the same."""
        count = 0

        def invoke() -> None:
            nonlocal count
            took = inference_ns(count) if callable(inference_ns) else inference_ns
            count += 1
            self.runs += 1
            self.work_ns += round(took * self.load)
            self.wall_ns += round(took * self.load) + self.preempted_ns

        return invoke
