"""Every calibration of the reference is kept, and a new one comes when the newest is old."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.domain.calibration import Calibration
from tests.service.domain.test_calibration import calibrations
from workers.measurement import calibration_history
from workers.measurement.calibration_history import (
    AGAIN_AFTER,
    continue_history,
    read_history,
)

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
FIRST = calibrations([0.4], timedelta(0))[0].model_copy(update={"calibrated_at": NOW})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


def continued(path: Path, now: datetime, latency_ms: float = 0.41) -> list[Calibration]:
    newest = FIRST.model_copy(update={"calibrated_at": now, "latency_ms": latency_ms})
    return continue_history(path, FIRST, lambda: newest, now)


def test_it_begins_with_the_calibration_that_latencies_are_counted_in(path: Path) -> None:
    assert continued(path, NOW) == read_history(path) == [FIRST]


def test_another_comes_when_the_newest_is_old(path: Path) -> None:
    continued(path, NOW)
    assert len(continued(path, NOW + AGAIN_AFTER)) == 1
    later = continued(path, NOW + 1.1 * AGAIN_AFTER, 0.42)
    assert [one.latency_ms for one in later] == [0.4, 0.42]
    assert len(continued(path, NOW + 1.9 * AGAIN_AFTER)) == 2
    assert read_history(path) == later


def test_a_clock_that_was_set_back_does_not_end_the_history(path: Path) -> None:
    continued(path, NOW)
    assert len(continued(path, NOW - timedelta(days=3))) == 2


def test_an_unreadable_line_costs_no_other(path: Path) -> None:
    continued(path, NOW)
    continued(path, NOW + 2 * AGAIN_AFTER)
    path.write_bytes(b'{"half a li\n' + path.read_bytes())
    assert len(read_history(path)) == 2


def test_the_oldest_are_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_history, "KEPT", 3)
    for hours in range(0, 12, 2):
        newest = continued(path, NOW + timedelta(hours=hours), 0.4 + hours / 100)[-1]
    kept = read_history(path)
    assert len(kept) == 3
    assert kept[-1] == newest
