"""Drift of a device: found where there is one, silent where there is only scatter."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from service.domain.calibration import FEWEST, Calibration, Drift, drift_of

START = datetime(2026, 11, 20, tzinfo=UTC)


def calibrations(latencies: Iterable[float], every: timedelta) -> list[Calibration]:
    return [
        Calibration(
            reference="encoder",
            runtime="onnxruntime",
            runtime_version="1.32.0",
            threads=1,
            clock="thread_cpu_time",
            latency_ms=latency,
            sem_ms=0.001,
            n=128,
            calibrated_at=START + index * every,
        )
        for index, latency in enumerate(latencies)
    ]


def drift(latencies: Iterable[float], hours: float = 4) -> Drift | None:
    return drift_of(calibrations(latencies, timedelta(hours=hours)))


def test_three_per_cent_slower_than_last_week_is_an_alarm() -> None:
    random = np.random.default_rng(0)
    week = 0.4 * (1 + 0.005 * random.standard_normal(42))
    found = drift([*week, *(1.03 * week[:6])])
    assert found is not None
    assert found.percent == pytest.approx(3, abs=0.6)
    assert found.low_percent < 3 < found.high_percent
    assert found.is_alarming
    assert (found.recent, found.earlier) == (6, 42)
    assert found.since == START + 42 * timedelta(hours=4)
    assert str(found).startswith("measures 3.")
    assert "slower since 2026-11-27 00:00 UTC" in str(found)


def test_a_device_that_became_faster_is_one_too() -> None:
    found = drift([0.4, 0.401, 0.399] * 4 + [0.38, 0.381, 0.379] * 2)
    assert found is not None
    assert found.is_alarming
    assert " faster since " in str(found)


def test_one_bad_calibration_is_none() -> None:
    found = drift([0.4, 0.401, 0.399] * 4 + [0.4, 0.401, 0.399, 0.4, 0.401, 0.6])
    assert found is not None
    assert not found.is_alarming


def test_a_drift_too_small_to_matter_is_none() -> None:
    found = drift([0.4] * 20 + [0.403] * 6)
    assert found is not None
    assert found.percent == pytest.approx(0.75)
    assert not found.is_alarming


def test_scatter_alone_rarely_raises_an_alarm() -> None:
    """Where calibrations scatter by 3 %, as on a machine with neighbours."""
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        found = drift(0.4 * (1 + 0.03 * random.standard_normal(30)))
        assert found is not None
        alarms += found.is_alarming
    assert alarms <= 8


def test_few_calibrations_compare_with_nothing() -> None:
    assert drift([]) is None
    assert drift([0.4] * (2 * FEWEST - 1), hours=12) is None
    assert drift([0.4] * (2 * FEWEST), hours=12) is not None


def test_a_device_seldom_used_is_judged_by_its_newest() -> None:
    found = drift([0.4] * 6 + [0.42] * FEWEST, hours=12)
    assert found is not None
    assert (found.recent, found.earlier) == (FEWEST, 6)
    assert found.is_alarming


def test_what_is_older_than_a_week_does_not_count() -> None:
    found = drift([0.9] * 20 + [0.4] * 16, hours=12)
    assert found is not None
    assert found.percent == pytest.approx(0)


def test_the_order_of_arrival_does_not_matter() -> None:
    history = calibrations([0.4] * 12 + [0.42] * 6, timedelta(hours=4))
    assert drift_of(history[::-1]) == drift_of(history)
