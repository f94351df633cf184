import pytest

from tests.workers.notify_socket import NotifySocket
from workers.contact import ServerContact
from workers.watchdog import Watchdog


class Seconds:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock_s():
    return Seconds()


@pytest.fixture
def systemd(tmp_path):
    opened = NotifySocket.in_folder(tmp_path)
    yield opened
    opened.close()


def test_a_worker_that_is_not_registered_hears_no_server(clock_s):
    health = ServerContact("w", Watchdog(None), clock_s).health()
    assert (health.state, health.hears_server, health.silent_s) == ("registering", False, None)


def test_it_hears_its_server_until_the_silence_lasts_longer_than_it_may(clock_s):
    contact = ServerContact("w", Watchdog(None), clock_s)
    contact.registered("worker-1", silence_limit_s=65.0)
    clock_s.now += 65.0
    assert contact.health().hears_server
    clock_s.now += 0.5
    health = contact.health()
    assert not health.hears_server
    assert (health.silent_s, health.silence_limit_s) == (65.5, 65.0)
    contact.heard()
    assert contact.health().hears_server


def test_a_worker_that_drains_says_so_and_still_hears(clock_s, systemd):
    contact = ServerContact("w", Watchdog(systemd.address), clock_s)
    contact.registered("worker-1", silence_limit_s=65.0)
    contact.stopping()
    health = contact.health()
    assert (health.state, health.hears_server) == ("draining", True)
    assert systemd.new() == ["READY=1", "STOPPING=1"]


def test_the_watchdog_is_fed_by_what_is_heard_and_by_nothing_else(clock_s, systemd):
    contact = ServerContact("w", Watchdog(systemd.address, limit_s=300.0), clock_s)
    contact.registered("worker-1", silence_limit_s=65.0)
    assert systemd.new() == ["READY=1"]
    clock_s.now += 60.0
    contact.health()
    assert systemd.new() == []
    contact.heard()
    assert systemd.new() == ["WATCHDOG=1"]


@pytest.mark.parametrize(("limit_s", "is_told"), [(60.0, True), (65.0, False), (None, False)])
def test_a_watchdog_that_bites_too_soon_is_told_of(clock_s, caplog, limit_s, is_told):
    ServerContact("w", Watchdog(None, limit_s), clock_s).registered("worker-1", 65.0)
    assert ("raise WatchdogSec" in caplog.text) is is_told
