"""A battery's gauge, as a made-up folder of this machine's tells it; no phone was measured yet."""

import subprocess
from pathlib import Path

import pytest

from tests.workers.benches.fake_battery import full_of
from workers.benches.battery import BatteryUnread, draw_during, require_battery
from workers.devices.local import LocalDevice


@pytest.fixture
def battery(tmp_path: Path) -> Path:
    folder = tmp_path / "battery"
    full_of(folder)
    return folder


@pytest.fixture
def shell(tmp_path: Path):
    def run(script: str) -> str:
        return subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout

    return run


@pytest.mark.parametrize("current_ua", [-750_000, 750_000])
def test_power_is_current_times_voltage_whatever_the_sign(tmp_path, shell, current_ua) -> None:
    full_of(tmp_path / "other", current_ua=current_ua)
    drawn = draw_during("sh -c 'sleep 0.2; echo one; echo two'", shell, str(tmp_path / "other"))
    assert drawn.mean_mw == pytest.approx(3_000)
    assert drawn.said == "one\ntwo"


def test_power_is_the_mean_over_the_run(battery: Path, shell) -> None:
    other = battery / "made"
    other.write_text("-1500000\n")
    halfway = f"sh -c 'sleep 0.5; mv {other} {battery}/current_now; sleep 0.5; echo done'"
    assert 2_500 < draw_during(halfway, shell, str(battery)).mean_mw < 5_500  # of 2 W and of 6 W


def test_a_command_that_fails_fails_as_it_would_without(battery: Path, shell) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        draw_during("sh -c 'echo no such network; exit 3'", shell, str(battery))
    assert failed.value.returncode == 3
    assert "no such network" in failed.value.stdout


@pytest.mark.parametrize("state", ["Charging", "Full", "Not charging"])
def test_on_its_charger_a_device_is_not_measured(tmp_path, shell, state: str) -> None:
    full_of(tmp_path / "charged", state=state)
    told = f"its battery is {state.lower()}.*; take it off its charger"
    with pytest.raises(BatteryUnread, match=told):
        draw_during("sleep 0.1", shell, str(tmp_path / "charged"))
    with pytest.raises(BatteryUnread, match=told):
        require_battery(LocalDevice(str(tmp_path)).shell, str(tmp_path / "charged"))


def test_a_charger_that_is_plugged_in_meanwhile_is_noticed(battery: Path, shell) -> None:
    with pytest.raises(BatteryUnread, match="its battery is discharging and charging"):
        draw_during(f"sh -c 'echo Charging > {battery}/status; sleep 0.1'", shell, str(battery))


def test_a_device_without_a_battery_is_told_apart(tmp_path: Path, battery: Path) -> None:
    device = LocalDevice(str(tmp_path))
    require_battery(device.shell, str(battery))
    with pytest.raises(BatteryUnread, match=r"cannot be read .*No such file"):
        require_battery(device.shell, str(tmp_path / "nowhere"))
