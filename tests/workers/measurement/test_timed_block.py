"""Repeating and timing, on a device whose time is made up."""

import pytest

from tests.workers.measurement.fake_device import FakeDevice
from workers.measurement.timed_block import (
    MIN_BLOCK_NS,
    clocks_for,
    repeats_in_block,
    time_block,
    time_in_block,
)

pytestmark = pytest.mark.alone


@pytest.mark.parametrize(("inference_ns", "repeats"), [(20_000, 25), (499_999, 2), (9e6, 1)])
def test_blocks_are_never_shorter_than_half_a_millisecond(
    inference_ns: float, repeats: int
) -> None:
    assert repeats_in_block(inference_ns, MIN_BLOCK_NS) == repeats
    assert repeats * inference_ns >= MIN_BLOCK_NS


def test_a_blocks_time_is_that_of_one_inference_without_those_that_warm_the_caches() -> None:
    device = FakeDevice()
    network = device.network(lambda run: 5_000 if run < 2 else 1_000)
    assert time_block(network, 8, device.clocks.work) == 1_000
    assert device.runs == 2 + 8


def test_what_seems_slow_by_itself_is_timed_in_blocks_as_long_as_they_have_to_be() -> None:
    """A network of 10 us that took 100 us beside another: five would be too short a block."""
    device = FakeDevice()
    assert time_in_block(device.network(10_000), 100_000, device.clocks.work) == 10_000
    assert device.runs >= 50


def test_being_preempted_does_not_count_as_work() -> None:
    device = FakeDevice()
    device.preempted_ns = 10_000_000
    assert time_block(device.network(1_000), 4, device.clocks.work) == 1_000
    assert time_block(device.network(1_000), 4, device.clocks.wall) == 10_001_000


def test_several_threads_are_timed_by_the_wall_clock() -> None:
    assert clocks_for(1).work_name == "thread_cpu_time"
    several = clocks_for(2)
    assert several.work is several.wall
    assert several.work_name == "wall_time"
