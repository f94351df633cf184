"""A device whose time is made up: inferences advance its clocks by what they are told to take."""

from collections.abc import Callable

from workers.measurement.timed_block import Clocks, Invoke


class FakeDevice:
    """Has the core for itself unless `preempted_ns` is set: then only the wall clock goes on."""

    def __init__(self) -> None:
        self.work_ns = 0
        self.wall_ns = 0
        self.runs = 0
        self.load = 1.0
        self.preempted_ns = 0
        self.clocks = Clocks(lambda: self.work_ns, lambda: self.wall_ns, "thread_cpu_time")

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
