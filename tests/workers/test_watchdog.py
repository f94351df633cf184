import os
import uuid

import pytest

from tests.workers.notify_socket import NotifySocket
from workers.watchdog import Watchdog


@pytest.fixture(params=["path", "abstract"])
def listening(request, tmp_path):
    if request.param == "path":
        opened = NotifySocket.in_folder(tmp_path)
    else:
        opened = NotifySocket(f"@archfront-test-{uuid.uuid4().hex}")
    yield opened
    opened.close()


def test_it_says_what_systemd_understands_one_datagram_each(listening):
    watchdog = Watchdog.from_environment({"NOTIFY_SOCKET": listening.address})
    watchdog.ready()
    watchdog.feed()
    watchdog.stopping()
    assert listening.new() == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_nobody_is_told():
    watchdog = Watchdog.from_environment({})
    watchdog.ready()
    assert watchdog.limit_s is None


@pytest.mark.parametrize(
    ("pid", "limit_s"),
    [(None, 300.0), (os.getpid(), 300.0), (os.getpid() + 1, None)],
    ids=["nobody's", "its own", "another's"],
)
def test_the_limit_counts_only_if_it_is_meant_for_this_process(pid, limit_s):
    environment = {"WATCHDOG_USEC": "300000000"}
    if pid is not None:
        environment["WATCHDOG_PID"] = str(pid)
    assert Watchdog.from_environment(environment).limit_s == limit_s


def test_a_socket_that_has_gone_costs_a_line_and_not_the_worker(tmp_path, caplog):
    gone = NotifySocket.in_folder(tmp_path)
    gone.close()
    Watchdog(gone.address).feed()
    assert "Cannot tell systemd WATCHDOG=1" in caplog.text
