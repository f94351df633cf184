"""Reads what a device draws from its battery while a command runs.

By the battery's own gauge, as Linux shows it: the whole device's power, screen and radios included.
A device on its charger draws nothing from the battery, and is not measured.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from workers.devices.device import Finished
from workers.errors import MetricNotGiven

_FOLDER = "/sys/class/power_supply/battery"
_STATE = "cat {folder}/status {folder}/current_now {folder}/voltage_now"

# The state comes first and last: a charger that is plugged in meanwhile does not go unnoticed.
_WATCH = r"""
cat {folder}/status
{command} > watched.txt 2>&1 &
pid=$!
while kill -0 $pid 2>/dev/null; do
  echo "drawn $(cat {folder}/current_now) $(cat {folder}/voltage_now)"
  sleep 0.05
done
wait $pid
ended=$?
cat {folder}/status watched.txt
exit $ended
"""
_DRAWN = re.compile(r"^drawn (-?\d+) (\d+)$", re.MULTILINE)
_MW_IN_UA_UV = 1e-9
_DRAINED = "Discharging"


class BatteryUnread(MetricNotGiven):
    """The device's battery tells nothing of what the device takes."""


@dataclass(frozen=True)
class Drawn:
    """mean_mw: of the whole device while the command ran; said: by the command."""

    mean_mw: float
    said: str


def require_battery(shell: Callable[[str], Finished], folder: str = _FOLDER) -> None:
    """Raises: BatteryUnread if the battery cannot be read, or is not being drained."""
    done = shell(_STATE.format(folder=folder))
    if done.status != 0:
        raise BatteryUnread(
            f"its battery cannot be read ({' '.join(done.errors.split())[-200:]}); devices keep it "
            "to root, or have none"
        )
    _refuse_unless_drained(done.output.splitlines()[:1])


def draw_during(command: str, shell: Callable[[str], str], folder: str = _FOLDER) -> Drawn:
    """Runs the command; current times voltage, sampled twenty times a second meanwhile.

    shell: runs a script and gives what it printed; raises what the command's failure means.
    Current is taken in microamperes and voltage in microvolts, as the kernel documents them; of
    the current's sign, which devices do not agree on, no notice is taken.
    Raises: BatteryUnread.
    """
    printed = shell(_WATCH.replace("{folder}", folder).replace("{command}", command))
    samples = [int(current) * int(voltage) for current, voltage in _DRAWN.findall(printed)]
    if not samples:
        raise BatteryUnread("its battery told no current and voltage meanwhile")
    before, *after = (line for line in printed.splitlines() if not _DRAWN.match(line))
    _refuse_unless_drained([before, *after[:1]])
    mean_mw = sum(map(abs, samples)) / len(samples) * _MW_IN_UA_UV
    return Drawn(mean_mw, "\n".join(after[1:]))


def _refuse_unless_drained(states: list[str]) -> None:
    if any(state.strip() != _DRAINED for state in states):
        raise BatteryUnread(
            f"its battery is {' and '.join(states).strip().lower()}; take it off its charger, "
            "and reach it by adb over Wi-Fi"
        )
