"""The units, as systemd itself reads them, and the times in them."""

import shutil
import subprocess

import pytest

from service.domain.lease import LeaseTimes
from tests.deploy.shipped import SYSTEMD, units
from workers.settings import read_worker_settings

UNITS = units()
WORKER = UNITS["archfront-worker@.service"]["Service"]
SECONDS = {"min": 60.0, "s": 1.0, "": 1.0}


def seconds(span):
    number = span.rstrip("mins")
    return float(number) * SECONDS[span[len(number) :]]


@pytest.fixture
def installed(tmp_path):
    """The units with a program that is there, each template with an instance."""
    shutil.copytree(SYSTEMD, tmp_path, dirs_exist_ok=True)
    for file in list(tmp_path.glob("*.service")):
        file.write_text(file.read_text().replace("/opt/archfront/bin/archfront", "/bin/true"))
        if file.stem.endswith("@"):
            shutil.copy(file, file.with_name(f"{file.stem}8731.service"))
    return tmp_path


def verified(folder):
    """What systemd has to say about the units that lie there."""
    names = sorted(str(file) for file in folder.glob("*.service") if not file.stem.endswith("@"))
    done = subprocess.run(
        ["systemd-analyze", "verify", *names],
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    # Units of the machine itself, which ours only wait for, are none of our business.
    return [line for line in done.stderr.splitlines() if "archfront" in line]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_no_fault(installed):
    assert verified(installed) == []
    broken = installed / "archfront-server.service"
    broken.write_text(broken.read_text().replace("RestartSec=5", "RestartSecs=5"))
    assert any("RestartSecs" in line for line in verified(installed))


@pytest.mark.parametrize(("name", "unit"), UNITS.items(), ids=UNITS)
def test_a_unit_runs_as_its_own_user_in_its_own_folder(name, unit):
    service = unit["Service"]
    assert service["User"] == "archfront"
    assert name.startswith("archfront-")  # what `archfront-.service.d` is for
    assert service["StateDirectoryMode"] == "0700"
    folder = f"/var/lib/{service['StateDirectory']}"
    text = (SYSTEMD / name).read_text()
    assert f"Environment=HOME={folder} " in text
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_what_hardens_them_applies_to_all():
    hardening = (SYSTEMD / "archfront-.service.d" / "hardening.conf").read_text()
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="):
        assert line in hardening.splitlines()


def test_the_watchdog_bites_only_when_nothing_can_be_lost_any_more():
    assert (WORKER["Type"], WORKER["NotifyAccess"]) == ("notify", "main")
    longest_silence_s = LeaseTimes().ttl_s + read_worker_settings().claim_wait_s
    assert seconds(WORKER["WatchdogSec"]) > 2 * longest_silence_s
    assert WORKER["TimeoutStartSec"] == "infinity"  # until its server is there


def test_a_worker_that_is_stopped_may_finish_its_stages():
    text = (SYSTEMD / "archfront-worker@.service").read_text()
    drain_s = float(text.split("ARCHFRONT_WORKER_DRAIN_S=")[1].split()[0])
    # The signal must not reach the stages themselves.
    assert WORKER["KillMode"] == "mixed"
    assert seconds(WORKER["TimeoutStopSec"]) > drain_s
    assert seconds(WORKER["TimeoutAbortSec"]) > drain_s
    assert WORKER["WatchdogSignal"] == "SIGTERM"
