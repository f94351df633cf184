"""The quickest pace of a device's last measurements."""

import math
from pathlib import Path

import pytest

from workers.measurement.kept_paces import KEPT, KeptPaces


def test_the_quickest_of_all_is_known_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "reference" / "paces.json"
    assert math.isnan(KeptPaces(path).quickest_ns())
    for pace_ns in (65_000.0, 60_500.0, 90_000.0):
        KeptPaces(path).keep(pace_ns)
    assert KeptPaces(path).quickest_ns() == 60_500.0


def test_a_device_that_became_slower_for_good_is_known_as_such_in_time(tmp_path: Path) -> None:
    paces = KeptPaces(tmp_path / "paces.json")
    paces.keep(60_000.0)
    for _ in range(KEPT - 1):
        paces.keep(90_000.0)
    assert paces.quickest_ns() == 60_000.0
    paces.keep(90_000.0)
    assert paces.quickest_ns() == 90_000.0


def test_a_device_that_tells_none_keeps_none(tmp_path: Path) -> None:
    paces = KeptPaces(tmp_path / "paces.json")
    paces.keep(math.nan)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "no list", "7", '["quick"]', "[null]"])
def test_a_file_that_cannot_be_read_is_written_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "paces.json"
    path.write_text(content)
    paces = KeptPaces(path)
    assert math.isnan(paces.quickest_ns())
    paces.keep(60_000.0)
    assert paces.quickest_ns() == 60_000.0
