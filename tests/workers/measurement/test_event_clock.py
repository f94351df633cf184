import numpy as np

from tests.workers.measurement.fake_gpu import FakeGpu
from workers.measurement.event_clock import EventClock


def test_it_tells_the_gpus_own_time_and_waits_for_it() -> None:
    gpu = FakeGpu()
    clock = EventClock(gpu.new_event)
    assert clock() == 0
    gpu.give(2_500_000)
    assert clock() == 2_500_000
    gpu.give(40)
    gpu.give(60)
    assert clock() == 2_500_100
    assert gpu.waits == 3


def test_its_grain_stays_fine_after_an_hour() -> None:
    """A difference of an hour told as float32 milliseconds would be off by up to 128 us."""
    gpu = FakeGpu()
    clock = EventClock(gpu.new_event)
    clock()
    for _ in range(3_600):
        gpu.give(1_000_000_000)
        clock()
    before = clock()
    gpu.give(1_234)
    assert abs(clock() - before - 1_234) <= 2
    assert np.float32(3_600_000.0) + np.float32(0.001_234) == np.float32(3_600_000.0)
