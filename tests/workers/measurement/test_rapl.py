"""Counters of energy, in a folder as Linux shows them; no machine of ours has had real ones."""

from pathlib import Path

import pytest

from tests.workers.measurement.fake_powercap import add_zone
from workers.measurement.rapl import NoEnergyCounter, RaplCounter

RANGE_UJ = 262_143_328_850


def test_packages_are_summed_and_nothing_counted_twice(tmp_path: Path) -> None:
    zones = [
        add_zone(tmp_path, "intel-rapl:0", "package-0", 5_000, RANGE_UJ),
        add_zone(tmp_path, "intel-rapl:1", "package-1", 9_000_000, RANGE_UJ),
        add_zone(tmp_path, "intel-rapl:0:0", "core", 1_000, RANGE_UJ),
        add_zone(tmp_path, "intel-rapl:0:1", "dram", 1_000, RANGE_UJ),
        add_zone(tmp_path, "intel-rapl:2", "psys", 1_000, RANGE_UJ),
        add_zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000, RANGE_UJ),
    ]
    counter = RaplCounter(tmp_path)
    assert counter.read_mj() == 0
    for zone in zones:
        counted = int((zone / "energy_uj").read_text())
        (zone / "energy_uj").write_text(f"{counted + 3_000}\n")
    assert counter.read_mj() == 6.0
    assert counter.name == "RAPL, 2 packages, whatever runs there"


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    zone = add_zone(tmp_path, "intel-rapl:0", "package-0", 900_000, 1_000_000)
    counter = RaplCounter(tmp_path)
    found = []
    for counted in (990_000, 40_000, 990_000, 40_000):
        (zone / "energy_uj").write_text(f"{counted}\n")
        found.append(counter.read_mj())
    assert found == [90, 140, 1_090, 1_140]


@pytest.mark.parametrize("zones", [{}, {"intel-rapl:0:0": "core"}, {"intel-rapl:1": "psys"}])
def test_without_a_package_there_is_no_counter(tmp_path: Path, zones: dict[str, str]) -> None:
    for zone, name in zones.items():
        add_zone(tmp_path, zone, name, 0, RANGE_UJ)
    with pytest.raises(NoEnergyCounter, match="shows no energy counter"):
        RaplCounter(tmp_path)


def test_a_counter_that_may_not_be_read_is_none(tmp_path: Path) -> None:
    zone = add_zone(tmp_path, "intel-rapl:0", "package-0", 0, RANGE_UJ)
    (zone / "energy_uj").unlink()  # as root reads whatever its mode is
    with pytest.raises(NoEnergyCounter, match=r"energy_uj cannot be read .*let the worker's user"):
        RaplCounter(tmp_path)
