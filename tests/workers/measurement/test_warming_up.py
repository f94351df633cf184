"""Warming up, on a device whose time is made up."""

import pytest

from tests.workers.measurement.fake_device import FakeDevice
from workers.measurement.stationarity import WINDOW
from workers.measurement.warming_up import MOST_BLOCKS, warm_up, warm_up_pair

pytestmark = pytest.mark.alone


def test_a_steady_network_is_warm_after_one_window() -> None:
    device = FakeDevice()
    warm = warm_up(device.network(1_000_000), device.clocks.work)
    assert (warm.runs, warm.inference_ns) == (1 + 2 * WINDOW, (1_000_000,))
    assert warm.has_settled
    assert device.runs == warm.runs


def test_warming_up_lasts_as_long_as_the_network_gets_quicker() -> None:
    device = FakeDevice()
    network = device.network(lambda run: 2e6 * max(1.0, 2.0 - run / 15))
    warm = warm_up(network, device.clocks.work)
    assert warm.inference_ns == (2_000_000,)
    assert 15 < warm.runs < 30


def test_warming_up_ends_although_the_network_never_settles() -> None:
    device = FakeDevice()
    warm = warm_up(device.network(lambda run: 1e9 * 0.9**run), device.clocks.work)
    assert warm.runs == 1 + MOST_BLOCKS
    assert not warm.has_settled


def test_quick_networks_warm_up_by_blocks_of_fifteen() -> None:
    device = FakeDevice()
    assert warm_up(device.network(2_000), device.clocks.work).runs == 1 + 15 * WINDOW


def test_a_pair_is_warm_when_its_ratio_stands_still_whatever_the_load_does() -> None:
    device = FakeDevice()
    candidate = device.network(1_200_000)

    def slowing_candidate() -> None:
        device.load *= 1.02
        candidate()

    warm = warm_up_pair(slowing_candidate, device.network(400_000), device.clocks.work)
    assert warm.has_settled
    assert warm.runs == 2 * (1 + WINDOW)
    assert warm.inference_ns[0] == pytest.approx(3 * warm.inference_ns[1], rel=1e-6)


def test_either_network_of_a_pair_may_be_the_one_that_is_cold() -> None:
    for cold in (0, 1):
        device = FakeDevice()
        networks = [device.network(1_200_000), device.network(400_000)]
        networks[cold] = device.network(lambda run: 400_000 * max(1.0, 3.0 - run / 5))
        warm = warm_up_pair(networks[0], networks[1], device.clocks.work)
        assert warm.has_settled
        assert warm.inference_ns[cold] == pytest.approx(400_000, rel=0.1)
        assert warm.runs > 2 * (1 + WINDOW)
