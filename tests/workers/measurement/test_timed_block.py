"""Warming up, repeating and timing, on a device whose time is made up."""

import pytest

from tests.workers.measurement.fake_device import FakeDevice
from workers.measurement.timed_block import (
    MIN_BLOCK_NS,
    clocks_for,
    repeats_in_block,
    time_block,
    warm_up,
)

pytestmark = pytest.mark.alone


def test_a_steady_network_is_warm_after_two_windows() -> None:
    device = FakeDevice()
    warm = warm_up(device.network(1_000_000), device.clocks.work)
    assert (warm.runs, warm.inference_ns) == (1 + 3 + 3, 1_000_000)
    assert device.runs == warm.runs


def test_warming_up_lasts_as_long_as_the_network_gets_quicker() -> None:
    device = FakeDevice()
    settled_after = 15
    network = device.network(lambda run: 1e6 * max(1.0, 2.0 - run / settled_after))
    warm = warm_up(network, device.clocks.work)
    assert warm.inference_ns == 1_000_000
    assert settled_after < warm.runs < 2 * settled_after


def test_warming_up_ends_although_the_network_never_settles() -> None:
    device = FakeDevice()
    warm = warm_up(device.network(lambda run: 1e9 * 0.9**run), device.clocks.work)
    assert warm.runs == 1 + 10 * 2


def test_quick_networks_warm_up_by_windows_of_fifty() -> None:
    device = FakeDevice()
    assert warm_up(device.network(2_000), device.clocks.work).runs == 1 + 50 + 50


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
