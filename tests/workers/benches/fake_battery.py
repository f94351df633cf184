"""A folder as Android's /sys/class/power_supply/battery."""

from pathlib import Path


def full_of(folder: Path, *, current_ua: int = -500_000, state: str = "Discharging") -> None:
    """Makes the folder, of a battery of 4 V: 2 W are drawn from it, if nothing else is said."""
    folder.mkdir()
    (folder / "status").write_text(f"{state}\n")
    (folder / "current_now").write_text(f"{current_ua}\n")
    (folder / "voltage_now").write_text("4000000\n")
