"""What a heartbeat says of a lease that is over; the rest is told in test_daemon.py."""

from pathlib import Path

import pytest

from service.domain.errors import LeaseLost
from tests.workers.grants import make_grant
from tests.workers.waiting import eventually
from workers.contact import ServerContact
from workers.heartbeat import LeaseHeartbeat
from workers.held_lease import HeldLease
from workers.watchdog import Watchdog
from workers.work_folder import WorkFolder


class ServerThatKnowsNoLease:
    def heartbeat(self, *_: object, **__: object) -> None:
        raise LeaseLost


@pytest.mark.parametrize("is_being_reported", [False, True])
def test_a_lease_that_ends_by_its_own_report_is_not_told_as_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_being_reported: bool
) -> None:
    lease = HeldLease(make_grant(), stop_margin_s=0.1)
    folder = WorkFolder(tmp_path / "work")
    folder.create()
    if is_being_reported:
        lease.begin_report()
    contact = ServerContact("worker", Watchdog(None))
    with LeaseHeartbeat(ServerThatKnowsNoLease(), contact, lease, folder, 1_000):
        assert eventually(lambda: lease.is_lost)
    assert ("Lost the lease of" in caplog.text) is not is_being_reported
