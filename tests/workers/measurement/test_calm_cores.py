"""Calm cores are sought, waited for, and told from slow ones; see test_latency.py for the whole."""

import math

import numpy as np
import pytest

from tests.workers.measurement.fake_device import FakeDevice
from workers.measurement.calm_cores import CalmCores, UnknownCores, on_calm_cores


def on(*paces_ns: float) -> FakeDevice:
    """A device with these paces, one look after the other."""
    device, left = FakeDevice(), list(paces_ns)
    device.pace = lambda _: left.pop(0)
    return device


def always() -> bool:
    return True


def test_a_slow_core_is_waited_for_and_moved_from() -> None:
    device = on(90, 85, 71, 66)
    cores = CalmCores(device, 60.0, always)
    assert cores.begin_round() is device
    assert device.moves == 3
    assert device.wall_ns == 2 * 100_000_000
    cores.end_round()
    assert cores.paces_ns.tolist() == [71]


def test_no_core_is_waited_for_without_time() -> None:
    device = on(90, 60)
    cores = CalmCores(device, 60.0, lambda: False)
    cores.begin_round()
    assert (device.moves, device.wall_ns) == (1, 0)


def test_a_device_of_which_nothing_is_known_is_known_from_its_first_calm_core() -> None:
    device = on(90, 90, 60, 61, 90, 62, 62)
    cores = CalmCores(device, math.nan, always)
    for _ in range(3):
        cores.begin_round()
        cores.end_round()
    assert cores.quickest_ns == 60
    assert cores.paces_ns.tolist() == [90, 61, 62]
    assert on_calm_cores(cores.paces_ns, cores.quickest_ns).tolist() == [False, True, True]


def test_a_round_is_as_slow_as_its_slower_end() -> None:
    device = on(60, 95, 61, 60)
    cores = CalmCores(device, 60.0, always)
    for _ in range(2):
        cores.begin_round()
        cores.end_round()
    assert cores.paces_ns.tolist() == [95, 61]


@pytest.mark.parametrize("quickest_ns", [60.0, math.nan])
def test_what_nobody_can_tell_is_not_called_slow(quickest_ns: float) -> None:
    cores = CalmCores(UnknownCores(1), quickest_ns, always)
    assert "preempted" in cores.begin_round().watched
    cores.end_round()
    assert np.isnan(cores.paces_ns).all()
    assert on_calm_cores(cores.paces_ns, cores.quickest_ns).all()
